#include "client/audit_file.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "openssl/sha.h"

namespace keyferry::client {
namespace {

using Digest = std::array<uint8_t, 32>;
using google::protobuf::Message;
using Json = nlohmann::json;

Digest Sha256(absl::string_view bytes) {
  Digest digest;
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::string Bytes(const Digest& digest) { return std::string(digest.begin(), digest.end()); }

// SHA-256(hash of the entry before | sequence as 8 bytes, big-endian | digest of the entry).
Digest ChainHash(absl::string_view previous, uint64_t sequence, const Digest& digest) {
  std::string message(previous);
  for (int shift = 56; shift >= 0; shift -= 8) message.push_back(static_cast<char>(sequence >> shift));
  return Sha256(message + Bytes(digest));
}

absl::Status Broken(uint64_t sequence, absl::string_view problem) {
  return absl::DataLossError(absl::StrCat("entry ", sequence, " ", problem));
}

// Nothing if it is no JSON object, or has a name twice, so that no two readers understand it differently.
std::optional<Json> ParseObject(const std::string& line) {
  std::vector<std::set<std::string>> names;
  bool twice = false;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key) twice |= !names.back().insert(parsed.get<std::string>()).second;
    return true;
  };
  Json json = Json::parse(line, watch, /*allow_exceptions=*/false);
  if (!json.is_object() || twice) return std::nullopt;
  return json;
}

bool ReadMessage(const Json& json, Message* message) {
  return google::protobuf::util::JsonStringToMessage(json.dump(-1, ' ', false, Json::error_handler_t::replace), message)
      .ok();
}

bool IsHead(const v1::AuditHead& head) {
  return head.sequence() >= 0 && head.hash().size() == 32 && head.first_sequence() > 0 &&
         (head.first_previous_hash().size() == 32 || head.first_previous_hash().empty());
}

std::string ToJson(const Message& message) {
  std::string json;
  return google::protobuf::util::MessageToJsonString(message, &json).ok() ? json : "{}";
}

}  // namespace

std::string AuditEntryLine(absl::string_view org, const v1::AuditEntry& entry) {
  return absl::StrCat("{\"org\":", Json(std::string(org)).dump(), ",", absl::string_view(ToJson(entry)).substr(1),
                      "\n");
}

std::string AuditHeadLine(absl::string_view org, const v1::AuditHead& head) {
  return absl::StrCat("{\"org\":", Json(std::string(org)).dump(), ",\"head\":", ToJson(head), "}\n");
}

absl::StatusOr<v1::AuditHead> ParseAuditHead(absl::string_view text, absl::string_view file_name) {
  v1::AuditHead head;
  const std::optional<Json> json = ParseObject(std::string(text));
  if (json.has_value()) {
    const auto inner = json->find("head");
    if (ReadMessage(inner == json->end() ? *json : *inner, &head) && IsHead(head)) return head;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("not the head of an audit log: ", file_name, "; write it with `keyferry audit head -o json`"));
}

absl::Status AuditVerifier::Anchor(absl::string_view previous_hash, Chain* chain) {
  chain->anchored = true;
  if (ChainHash(previous_hash, chain->first, chain->first_digest) == chain->first_hash) return absl::OkStatus();
  return Broken(chain->first, "does not follow what was before it, or was changed");
}

absl::Status AuditVerifier::Compare(const v1::AuditHead& expected, Chain* chain) const {
  const uint64_t sequence = static_cast<uint64_t>(expected.sequence());
  if (!chain->anchored && sequence + 1 == chain->first) {
    chain->met_expected = true;
    return Anchor(expected.hash(), chain);
  }
  if (!chain->anchored && static_cast<uint64_t>(expected.first_sequence()) == chain->first) {
    const absl::Status anchored = Anchor(expected.first_previous_hash(), chain);
    if (!anchored.ok()) return anchored;
  }
  if (sequence == 0) chain->met_expected = true;
  if (sequence != chain->sequence) return absl::OkStatus();
  chain->met_expected = true;
  if (expected.hash() == Bytes(chain->hash)) return absl::OkStatus();
  return Broken(sequence, "is not the one that the expected head names");
}

absl::Status AuditVerifier::Take(v1::AuditEntry entry, Chain* chain) {
  const uint64_t sequence = static_cast<uint64_t>(entry.sequence());
  const std::string hash = entry.hash();
  if (entry.sequence() <= 0 || hash.size() != 32) return absl::DataLossError("not an entry of an audit log");
  if (chain->at_head) return Broken(sequence, "stands behind the head, which names the last one");
  entry.clear_sequence();
  entry.clear_hash();
  const Digest digest = Sha256(entry.SerializeAsString());
  ++entry_count_;
  if (chain->sequence == 0) {
    chain->first = sequence;
    chain->first_digest = digest;
    std::copy(hash.begin(), hash.end(), chain->first_hash.begin());
    if (sequence == 1) {
      const absl::Status anchored = Anchor(std::string(32, '\0'), chain);
      if (!anchored.ok()) return anchored;
    }
  } else if (sequence > chain->sequence + 1) {
    return Broken(chain->sequence + 1,
                  absl::StrCat("is missing: entry ", sequence, " follows entry ", chain->sequence));
  } else if (sequence <= chain->sequence) {
    return Broken(sequence, absl::StrCat("is out of order: it follows entry ", chain->sequence));
  } else if (Bytes(ChainHash(Bytes(chain->hash), sequence, digest)) != hash) {
    return Broken(sequence, absl::StrCat("was changed, or does not follow entry ", chain->sequence));
  }
  chain->sequence = sequence;
  std::copy(hash.begin(), hash.end(), chain->hash.begin());
  return expected_.has_value() ? Compare(*expected_, chain) : absl::OkStatus();
}

absl::Status AuditVerifier::TakeHead(const v1::AuditHead& head, Chain* chain) {
  const uint64_t last = static_cast<uint64_t>(head.sequence());
  const uint64_t first = static_cast<uint64_t>(head.first_sequence());
  if (chain->first == 0 && last >= first) return Broken(first, "is missing: the head names it and nothing is there");
  if (chain->first > first) return Broken(first, absl::StrCat("is missing: the first one is entry ", chain->first));
  if (chain->sequence < last) {
    return Broken(chain->sequence + 1, absl::StrCat("is missing: the head names entry ", last, " as the last one"));
  }
  if (chain->sequence > last) return Broken(last + 1, "is newer than the head, which names the last one");
  if (chain->first == first && !chain->anchored) {
    const absl::Status anchored = Anchor(head.first_previous_hash(), chain);
    if (!anchored.ok()) return anchored;
  }
  if (last != 0 && Bytes(chain->hash) != head.hash()) return Broken(last, "is not the one that the head names");
  chain->at_head = true;
  return absl::OkStatus();
}

absl::Status AuditVerifier::ReadLine(const std::string& line) {
  std::optional<Json> json = ParseObject(line);
  if (!json.has_value() || !json->contains("org") || !(*json)["org"].is_string()) {
    return absl::DataLossError("not a line of an audit log");
  }
  Chain* const chain = &chains_[(*json)["org"].get<std::string>()];
  json->erase("org");
  const auto head_member = json->find("head");
  if (head_member != json->end() && json->size() == 1) {
    v1::AuditHead head;
    if (!ReadMessage(*head_member, &head) || !IsHead(head)) return absl::DataLossError("not the head of an audit log");
    return TakeHead(head, chain);
  }
  v1::AuditEntry entry;
  if (!ReadMessage(*json, &entry)) return absl::DataLossError("not an entry of an audit log");
  return Take(std::move(entry), chain);
}

absl::Status AuditVerifier::Read(std::istream& file, absl::string_view file_name) {
  // Another file may go on after a head.
  for (auto& [org, chain] : chains_) chain.at_head = false;
  std::string line;
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    const absl::Status read = file.eof() ? absl::DataLossError("the line is cut off: it has no end") : ReadLine(line);
    if (!read.ok()) return absl::DataLossError(absl::StrCat(file_name, ":", number, ": ", read.message()));
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(file_name, ": cannot be read"));
  return absl::OkStatus();
}

absl::Status AuditVerifier::Finish() const {
  if (expected_.has_value() && chains_.size() > 1) {
    return absl::FailedPreconditionError(
        "a head is of one organization, and the file has lines of several; select them by their \"org\"");
  }
  for (const auto& [org, chain] : chains_) {
    if (chain.first == 0 || chain.anchored) continue;
    return Broken(chain.first,
                  absl::StrCat("is the first of \"", org,
                               "\", and what was before it is not known; give the earlier file as well, or "
                               "--expected with a head of that time"));
  }
  if (!expected_.has_value() || expected_->sequence() == 0) return absl::OkStatus();
  if (chains_.size() == 1 && chains_.begin()->second.met_expected) return absl::OkStatus();
  const uint64_t wanted = static_cast<uint64_t>(expected_->sequence());
  const uint64_t last = chains_.empty() ? 0 : chains_.begin()->second.sequence;
  if (last >= wanted) return Broken(wanted, "is the one that the expected head names, and the file begins later");
  return Broken(last + 1, absl::StrCat("is missing: the expected head names entry ", wanted));
}

bool AuditVerifier::ends_with_heads() const {
  return std::all_of(chains_.begin(), chains_.end(), [](const auto& one) { return one.second.at_head; });
}

}  // namespace keyferry::client
