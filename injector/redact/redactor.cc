#include "injector/redact/redactor.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace keyferry::injector {
namespace {

constexpr uint64_t kNever = ~uint64_t{0};
// What is held is mostly decided by the next few bytes. So much input is copied behind it; the rest is read in place.
constexpr size_t kAppendBytes = 512;
constexpr size_t kKeptCapacity = size_t{64} << 10;
constexpr size_t kIdleFraction = 4;

// How many units are compared where a form is known to agree: the first is no repetition, and in base64 no line break
// may stand before the first eight.
size_t CheckedUnits(const Form& form) { return form.encoding == Encoding::kBase64 ? 9 : 1; }

}  // namespace

Redactor::Redactor(std::shared_ptr<const PatternSet> patterns) { patterns_.push_back({std::move(patterns), kNever}); }

void Redactor::SetPatterns(std::shared_ptr<const PatternSet> patterns) {
  if (patterns == patterns_.back().set) return;
  if (kept().empty()) {
    patterns_.clear();
  } else {
    patterns_.back().end = base_ + kept().size();
  }
  patterns_.push_back({std::move(patterns), kNever});
  // The cursor is examined again, for the new patterns as well.
  alive_.clear();
  foreseen_.clear();
}

void Redactor::Write(absl::string_view input, std::string& output) {
  while (!kept().empty() && !input.empty()) {
    const absl::string_view head = input.substr(0, kAppendBytes);
    Append(head);
    Process(kept(), /*at_end=*/false, output);
    DropUntilCursor();
    const bool within_head = kept().size() <= head.size();
    input.remove_prefix(head.size() - (within_head ? kept().size() : 0));
    if (within_head) DropKept();
  }
  if (input.empty()) return;
  Process(input, /*at_end=*/false, output);
  input.remove_prefix(cursor_ - base_);
  base_ = cursor_;
  Append(input);
}

void Redactor::FlushIdle(std::string& output) {
  const absl::string_view text = kept();
  if (found_.open) {
    while (ExtendFound(text)) continue;
    Replace(output);
  }
  const uint64_t end = base_ + text.size();
  if (settled_ < end && !GivesAway(text)) PassOn(text, end, output);
}

void Redactor::Finish(std::string& output) {
  Process(kept(), /*at_end=*/true, output);
  DropUntilCursor();
}

size_t Redactor::held() const {
  const uint64_t end = base_ + kept().size();
  return (end > settled_ ? end - settled_ : 0) + (found_.open ? 1 : 0);
}

void Redactor::Process(absl::string_view text, bool at_end, std::string& output) {
  const uint64_t end = base_ + text.size();
  while (true) {
    const uint64_t start = alive_.empty() ? NextStart(text) : cursor_;
    if (found_.open && start >= found_.end) {
      cursor_ = found_.end;
      if (!CloseFound(text, at_end, output)) break;
      continue;
    }
    cursor_ = start;
    if (start == end) break;
    const Match match = Examine(text, at_end);
    if (match.size > 0) AddFound(text, match, output);
    if (!alive_.empty()) break;
    ++cursor_;
  }
  if (found_.open) {
    Settle(text, cursor_);
  } else {
    PassOn(text, cursor_, output);
  }
  DropFormerPatterns();
}

uint64_t Redactor::NextStart(absl::string_view text) const {
  const absl::string_view rest = text.substr(cursor_ - base_);
  // Few bytes are ever judged by former patterns, so that there is no search for their beginnings.
  const bool searched = patterns_.size() == 1 || rest.empty();
  return cursor_ + (searched ? patterns_.back().set->NextStart(rest, 0) : 0);
}

// The longest value at the cursor so far; the forms that may still become one are alive.
Redactor::Match Redactor::Examine(absl::string_view text, bool at_end) {
  const absl::string_view rest = text.substr(cursor_ - base_);
  Match longest;
  if (!alive_.empty()) {
    for (const Alive& alive : std::exchange(alive_, {})) {
      ExamineForm(*alive.set, alive.form, rest, at_end, alive.progress, longest);
    }
    return longest;
  }
  for (const Patterns& patterns : patterns_) {
    if (cursor_ >= patterns.end) continue;
    const bool current = patterns.end == kNever;
    for (const uint32_t form : patterns.set->Candidates(rest)) {
      const Progress progress = current ? Recall(form, rest) : Progress{};
      ExamineForm(*patterns.set, form, rest, at_end, progress, longest);
    }
  }
  return longest;
}

void Redactor::ExamineForm(const PatternSet& set, uint32_t index, absl::string_view rest, bool at_end,
                           Progress progress, Match& longest) {
  const Form& form = set.form(index);
  const Agreement agreement = Compare(form, rest, UnitCount(form), progress);
  if (agreement == Agreement::kNeedsMore && !at_end) {
    alive_.push_back({&set, index, progress});
    return;
  }
  if (&set == patterns_.back().set.get()) Foresee(index, rest, progress);
  if (agreement == Agreement::kComplete && progress.bytes > longest.size) longest = {progress.bytes, &set.name(form)};
}

// Without this, a text that repeats as the value does would be compared with all of the value at every repetition.
void Redactor::Foresee(uint32_t index, absl::string_view rest, const Progress& progress) {
  const PatternSet& set = *patterns_.back().set;
  const Form& form = set.form(index);
  const size_t period = set.Period(index, progress.units);
  if (period == 0) return;
  foreseen_.resize(set.form_count());
  // Once from the same place on, as when only the first unit was spelled otherwise, and once a period later.
  for (const size_t skipped : {size_t{0}, period}) {
    const size_t count = skipped + CheckedUnits(form);
    Progress checked;
    if (Compare(form, rest, count, checked) != Agreement::kComplete || checked.units != count) return;
    // Eight places, for texts in which the repetitions of several beginnings take turns.
    const uint64_t place = cursor_ + checked.bytes;
    auto& places = foreseen_[index];
    auto slot = std::find_if(places.begin(), places.end(), [place](const Foreseen& f) { return f.checked == place; });
    if (slot == places.end()) {
      slot = std::min_element(places.begin(), places.end(),
                              [](const Foreseen& a, const Foreseen& b) { return a.checked < b.checked; });
    }
    *slot = {place, progress.units - skipped, cursor_ + progress.bytes};
  }
}

Progress Redactor::Recall(uint32_t index, absl::string_view rest) const {
  if (index >= foreseen_.size()) return {};
  const Form& form = patterns_.back().set->form(index);
  Progress checked;
  if (Compare(form, rest, CheckedUnits(form), checked) != Agreement::kComplete) return {};
  for (const Foreseen& foreseen : foreseen_[index]) {
    if (foreseen.checked != cursor_ + checked.bytes || checked.units != CheckedUnits(form)) continue;
    return {foreseen.units, foreseen.end - cursor_};
  }
  return {};
}

void Redactor::AddFound(absl::string_view text, const Match& match, std::string& output) {
  const uint64_t end = cursor_ + match.size;
  // All of it stands in what was replaced while the stream was idle.
  if (end <= settled_ && !found_.open) return;
  if (!found_.open) {
    PassOn(text, cursor_, output);
    found_.open = true;
    found_.end = end;
    found_.longest = 0;
    found_.before = tracker_;
  }
  found_.end = std::max(found_.end, end);
  if (match.size <= found_.longest) return;
  found_.longest = match.size;
  found_.name = *match.name;
}

// False: whether it is complete depends on bytes that have not come yet.
bool Redactor::CloseFound(absl::string_view text, bool at_end, std::string& output) {
  // Values may begin in the bytes that it was extended by.
  if (ExtendFound(text)) return true;
  if (!at_end && found_.end == base_ + text.size() && FoundMayGoOn()) return false;
  Replace(output);
  return true;
}

// Adds the next byte if without it an escape or a number would be cut, which could not be read any more.
bool Redactor::ExtendFound(absl::string_view text) {
  Settle(text, found_.end);
  const absl::string_view rest = text.substr(std::min<uint64_t>(found_.end - base_, text.size()));
  if (rest.empty() || !FoundMayGoOn()) return false;
  if (!tracker_.ContinuesEscape(rest[0]) && !(tracker_.in_number() && JsonTracker::IsNumberByte(rest[0]))) return false;
  ++found_.end;
  return true;
}

bool Redactor::FoundMayGoOn() const {
  return tracker_.in_escape() || (tracker_.in_number() && found_.before.may_be_json() && !found_.before.in_string());
}

void Redactor::Replace(std::string& output) {
  const JsonTracker& before = found_.before;
  found_.open = false;
  if (!before.may_be_json() || !tracker_.in_json()) {
    absl::StrAppend(&output, "[keyferry:", found_.name, "]");
    return;
  }
  if (before.in_number() && !tracker_.in_string()) {
    output += '0';
    return;
  }
  absl::StrAppend(&output, before.in_string() ? before.EscapeEnd() : "\"", "[keyferry:", found_.name, "]",
                  tracker_.in_string() ? "" : "\"");
}

void Redactor::Settle(absl::string_view text, uint64_t end) {
  if (end <= settled_) return;
  tracker_.Advance(text.substr(settled_ - base_, end - settled_));
  settled_ = end;
}

void Redactor::PassOn(absl::string_view text, uint64_t end, std::string& output) {
  if (end <= settled_) return;
  const absl::string_view passed = text.substr(settled_ - base_, end - settled_);
  output.append(passed.data(), passed.size());
  Settle(text, end);
}

// Whether the end of the text may be more of some value than may be shown.
bool Redactor::GivesAway(absl::string_view text) const {
  const auto shows_much = [](const Form& form, const Progress& progress) {
    return progress.units * kIdleFraction > UnitCount(form);
  };
  for (const Alive& alive : alive_) {
    if (shows_much(alive.set->form(alive.form), alive.progress)) return true;
  }
  for (const Patterns& patterns : patterns_) {
    for (size_t start = patterns.set->NextStart(text, 0); start < text.size();
         start = patterns.set->NextStart(text, start + 1)) {
      const absl::string_view rest = text.substr(start);
      for (const uint32_t index : patterns.set->Candidates(rest)) {
        const Form& form = patterns.set->form(index);
        Progress progress;
        if (Compare(form, rest, UnitCount(form), progress) == Agreement::kNeedsMore && shows_much(form, progress)) {
          return true;
        }
      }
    }
  }
  return false;
}

void Redactor::DropFormerPatterns() {
  if (patterns_.size() == 1) return;
  patterns_.erase(std::remove_if(patterns_.begin(), patterns_.end(),
                                 [this](const Patterns& patterns) { return patterns.end <= cursor_; }),
                  patterns_.end());
}

void Redactor::Append(absl::string_view input) {
  if (kept_from_ > kept_.size() / 2) {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<ptrdiff_t>(kept_from_));
    kept_from_ = 0;
  }
  kept_.insert(kept_.end(), input.begin(), input.end());
}

void Redactor::DropUntilCursor() {
  kept_from_ += cursor_ - base_;
  base_ = cursor_;
  if (kept_from_ == kept_.size()) DropKept();
}

void Redactor::DropKept() {
  if (!kept_.empty()) explicit_bzero(kept_.data(), kept_.size());
  kept_.clear();
  kept_from_ = 0;
  if (kept_.capacity() > kKeptCapacity) kept_ = {};
}

}  // namespace keyferry::injector
