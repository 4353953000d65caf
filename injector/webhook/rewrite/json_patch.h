#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_JSON_PATCH_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_JSON_PATCH_H_

#include <set>
#include <string>
#include <utility>

#include "injector/webhook/rewrite/bounded_json.h"

namespace keyferry::injector::webhook {

// Operations of a JSON Patch (RFC 6902), in their order. Paths are JSON Pointers (RFC 6901).
class JsonPatch {
 public:
  // Of a member or, with a path that ends in "/-" or an index, an element. Replaces a member that is there.
  void Add(std::string path, Json value) {
    operations_.push_back({{"op", "add"}, {"path", std::move(path)}, {"value", std::move(value)}});
  }

  // At the end of a list, which is made if `list` is null.
  void Append(const std::string& path, const Json* list, Json value) {
    if (list == nullptr && appended_to_.insert(path).second) {
      Add(path, Json::array({std::move(value)}));
    } else {
      Add(path + "/-", std::move(value));
    }
  }

  const Json& operations() const { return operations_; }
  Json Take() { return std::move(operations_); }

 private:
  Json operations_ = Json::array();
  // Lists that were made.
  std::set<std::string> appended_to_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_JSON_PATCH_H_
