#ifndef KEYFERRY_CLIENT_YAML_DOCUMENTS_H_
#define KEYFERRY_CLIENT_YAML_DOCUMENTS_H_

#include <cstddef>
#include <sstream>
#include <string>

#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/parser.h"

namespace keyferry::client {

// Whether `text` holds at most `most` YAML documents. yaml-cpp 0.7 makes no progress at a token that begins no document
// (a lone comma, for one) and hands out empty documents for ever, so ask before YAML::LoadAll. Throws YAML::Exception.
inline bool HasAtMostDocuments(const std::string& text, size_t most) {
  struct Ignore : YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
  } ignore;
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  for (size_t count = 0; parser.HandleNextDocument(ignore); ++count) {
    if (count == most) return false;
  }
  return true;
}

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_YAML_DOCUMENTS_H_
