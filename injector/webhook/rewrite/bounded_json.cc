#include "injector/webhook/rewrite/bounded_json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector::webhook {
namespace {

// Builds the value as the parser reads it, and stops it at what is not allowed.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const JsonBounds& bounds) : bounds_(bounds) {}

  bool null() override { return Scalar(nullptr); }
  bool boolean(bool value) override { return Scalar(value); }
  bool number_integer(int64_t value) override { return Scalar(value); }
  bool number_unsigned(uint64_t value) override { return Scalar(value); }
  bool number_float(double value, const std::string& /*text*/) override { return Scalar(value); }
  bool string(std::string& value) override { return Scalar(std::move(value)); }
  bool binary(Json::binary_t& /*value*/) override { return Stop("binary data is no JSON"); }
  bool start_object(size_t /*size*/) override { return Enter(Json::object()); }
  bool start_array(size_t /*size*/) override { return Enter(Json::array()); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(std::string& name) override {
    const auto [place, inserted] = open_.back()->get_ref<Json::object_t&>().emplace(std::move(name), nullptr);
    if (!inserted) return Stop("a member is there twice");
    member_ = &place->second;
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    // The message of the parser repeats the text, so that only its kind is told.
    return Stop(absl::StrCat(error.id == 406 ? "a number is too large" : "it is no JSON", " (at byte ", position, ")"));
  }

  Json Take() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

 private:
  bool Stop(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  Json* Place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool Count() { return ++values_ <= bounds_.values || Stop("it has too many values"); }

  bool Scalar(Json value) {
    if (!Count()) return false;
    Place(std::move(value));
    return true;
  }

  bool Enter(Json value) {
    if (!Count()) return false;
    if (open_.size() >= static_cast<size_t>(bounds_.depth)) return Stop("it is nested too deeply");
    open_.push_back(Place(std::move(value)));
    return true;
  }

  bool Leave() {
    open_.pop_back();
    return true;
  }

  const JsonBounds bounds_;
  size_t values_ = 0;
  Json root_;
  // What has begun and not ended. An element of an array is only appended to while it is the last, so that none moves.
  std::vector<Json*> open_;
  Json* member_ = nullptr;
  std::string problem_;
};

}  // namespace

absl::StatusOr<Json> ParseBoundedJson(absl::string_view text, const JsonBounds& bounds) {
  if (text.size() > bounds.bytes) {
    return absl::InvalidArgumentError(absl::StrCat("it is longer than ", bounds.bytes, " bytes"));
  }
  Builder builder(bounds);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    return absl::InvalidArgumentError(builder.problem().empty() ? "it is no JSON" : builder.problem());
  }
  return builder.Take();
}

}  // namespace keyferry::injector::webhook
