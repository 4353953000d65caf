#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_PARAMETERS_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_PARAMETERS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace keyferry::server {

struct Parameter {
  std::string name;
  std::string value;
};

// Parameters of a request or an answer, in order. Values may be secrets: they are wiped with the list. Moved, never
// copied.
class ParameterList {
 public:
  ParameterList() = default;
  ParameterList(ParameterList&& other) noexcept;
  ParameterList& operator=(ParameterList&& other) noexcept;
  ParameterList(const ParameterList&) = delete;
  ParameterList& operator=(const ParameterList&) = delete;
  ~ParameterList();

  void Add(absl::string_view name, absl::string_view value);
  // Instead of all of that name.
  void Set(absl::string_view name, absl::string_view value);
  // Gives the parameters of that name another one; "" removes them.
  void Rename(absl::string_view name, absl::string_view other);
  void Remove(absl::string_view name);

  bool Has(absl::string_view name) const;
  // The first of that name, "" if there is none.
  absl::string_view Get(absl::string_view name) const;

  const std::vector<Parameter>& all() const { return all_; }
  bool empty() const { return all_.empty(); }

 private:
  void Wipe();

  std::vector<Parameter> all_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_PARAMETERS_H_
