#include "server/oauth/protocol/parameters.h"

#include <algorithm>
#include <utility>

#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

ParameterList::ParameterList(ParameterList&& other) noexcept : all_(std::move(other.all_)) { other.all_.clear(); }

ParameterList& ParameterList::operator=(ParameterList&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  all_ = std::move(other.all_);
  other.all_.clear();
  return *this;
}

ParameterList::~ParameterList() { Wipe(); }

void ParameterList::Wipe() {
  for (Parameter& parameter : all_) storage::WipeString(parameter.value);
  all_.clear();
}

void ParameterList::Add(absl::string_view name, absl::string_view value) {
  if (all_.size() == all_.capacity()) {
    // Short values live inside their strings, which a growing vector would leave behind.
    std::vector<Parameter> larger;
    larger.reserve(std::max<size_t>(16, all_.size() * 2));
    for (Parameter& parameter : all_) {
      larger.push_back({parameter.name, parameter.value});
      storage::WipeString(parameter.value);
    }
    all_.swap(larger);
  }
  all_.push_back({std::string(name), std::string(value)});
}

void ParameterList::Set(absl::string_view name, absl::string_view value) {
  Remove(name);
  Add(name, value);
}

void ParameterList::Rename(absl::string_view name, absl::string_view other) {
  if (other.empty()) return Remove(name);
  for (Parameter& parameter : all_) {
    if (parameter.name == name) parameter.name = std::string(other);
  }
}

void ParameterList::Remove(absl::string_view name) {
  // Not std::remove_if: it moves values over one another and leaves what was there unwiped.
  std::vector<Parameter> kept;
  kept.reserve(all_.capacity());
  for (Parameter& parameter : all_) {
    if (parameter.name != name) kept.push_back({parameter.name, parameter.value});
    storage::WipeString(parameter.value);
  }
  all_.swap(kept);
}

bool ParameterList::Has(absl::string_view name) const {
  return std::any_of(all_.begin(), all_.end(), [name](const Parameter& parameter) { return parameter.name == name; });
}

absl::string_view ParameterList::Get(absl::string_view name) const {
  for (const Parameter& parameter : all_) {
    if (parameter.name == name) return parameter.value;
  }
  return "";
}

}  // namespace keyferry::server
