// Lines in and out of the router, and batches.
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {
namespace {

absl::string_view WithoutLineBreak(absl::string_view line) {
  if (absl::ConsumeSuffix(&line, "\n")) absl::ConsumeSuffix(&line, "\r");
  return line;
}

bool IsPartOf(absl::string_view part, absl::string_view whole) {
  const std::less_equal<const char*> not_after;
  return not_after(whole.data(), part.data()) && not_after(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

bool Router::BeginLine(absl::string_view line, std::vector<absl::string_view>& texts, std::vector<MessageHead>& heads) {
  line_ = line;
  batch_size_ = 0;
  const absl::string_view text = WithoutLineBreak(line);
  const bool batch = IsBatch(text);
  if (!batch) {
    texts = {text};
  } else if (!SplitBatch(text, texts)) {
    return false;
  }
  heads.resize(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!ParseMessageHead(texts[i], heads[i])) return false;
  }
  if (batch) batch_size_ = texts.size();
  return true;
}

void Router::EndLine() {
  const size_t size = batch_size_;
  batch_size_ = 0;
  std::map<ProcessId, BatchPart> batch;
  batch.swap(batch_);
  for (const auto& [destination, part] : batch) {
    if (part.messages == size && part.unchanged == size) {
      Emit(destination, WithoutLineBreak(line_));
    } else {
      Emit(destination, part.messages == 1 ? part.text : absl::StrCat("[", part.text, "]"));
    }
  }
  line_ = absl::string_view();
}

void Router::SendToClient(absl::string_view text) { Emit(0, text); }

void Router::SendToServer(ServerProcess& process, absl::string_view text) {
  if (process.input_open()) Emit(process.id, text);
}

void Router::Emit(ProcessId destination, absl::string_view text) {
  if (batch_size_ != 0) {
    BatchPart& part = batch_[destination];
    absl::StrAppend(&part.text, part.text.empty() ? "" : ",", text);
    ++part.messages;
    if (IsPartOf(text, line_)) ++part.unchanged;
    return;
  }
  absl::string_view line = line_;
  const bool whole = text.data() == line_.data() && text.size() == WithoutLineBreak(line_).size();
  if (!whole || !absl::EndsWith(line_, "\n")) {
    scratch_.assign(text.data(), text.size());
    scratch_.push_back('\n');
    line = scratch_;
  }
  if (destination == 0) {
    output_.ToClient(line);
  } else {
    output_.ToServer(destination, line);
  }
  if (scratch_.capacity() > (size_t{256} << 10)) scratch_ = std::string();
}

void Router::LogCounted(uint64_t& count, ProcessId process, absl::string_view what) {
  ++count;
  uint64_t mark = count;
  while (mark % 10 == 0) mark /= 10;
  if (mark != 1) return;
  output_.Log(process, count == 1 ? std::string(what) : absl::StrCat(what, " (", count, " so far)"));
}

ServerProcess* Router::Find(ProcessId process) {
  const auto entry = processes_.find(process);
  return entry == processes_.end() ? nullptr : &entry->second;
}

}  // namespace keyferry::injector::mcp
