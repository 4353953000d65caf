#ifndef KEYFERRY_INJECTOR_REDACT_PATTERN_SET_H_
#define KEYFERRY_INJECTOR_REDACT_PATTERN_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "injector/redact/form.h"
#include "injector/redact/gram_filter.h"
#include "injector/redact/wiped_vector.h"

namespace keyferry::injector {

// Values shorter than this are no patterns: they would be found by chance.
inline constexpr size_t kMinRedactedBytes = 8;

// A value to be redacted. The caller owns the value's bytes.
struct NamedValue {
  std::string name;
  absl::string_view value;
};

// The values that a Redactor looks for, in every form (injector/redact/form.h). Holds a copy of them, which is wiped
// with the last owner; immutable, so threads may share it.
class PatternSet {
 public:
  // Of values that are equal the first gives the name. A character of a name that JSON would have to escape becomes
  // `_`.
  static std::shared_ptr<const PatternSet> Compile(absl::Span<const NamedValue> values);

  PatternSet(const PatternSet&) = delete;
  PatternSet& operator=(const PatternSet&) = delete;

  // The names of the values that are left alone because they are too short.
  const std::vector<std::string>& too_short() const { return too_short_; }
  bool empty() const { return forms_.empty(); }
  // What it occupies, to within what the allocator adds.
  size_t memory_bytes() const;

  // For Redactor only.

  const std::string& name(const Form& form) const { return names_[form.value_index]; }
  const Form& form(uint32_t index) const { return forms_[index]; }
  size_t form_count() const { return forms_.size(); }
  // The forms that may begin at the beginning of `text`, at least those that agree with all of it or have all their
  // units in it.
  absl::Span<const uint32_t> Candidates(absl::string_view text) const;
  // The first place at or after `from` that has candidates, text.size() if there is none.
  size_t NextStart(absl::string_view text, size_t from) const;
  // Of the form's first `units` units the second and all later ones repeat with this period, at least three times; 0 if
  // they do not, or are so few that comparing them again costs little.
  size_t Period(uint32_t form, size_t units) const;

 private:
  // The units from the second to the one before `reach` repeat with the period.
  struct Repetition {
    uint32_t form;
    uint32_t period;
    uint32_t reach;
  };

  PatternSet() = default;
  void AddForms(uint32_t value_index, absl::string_view value);
  void IndexStarts();
  void FindRepetitions(uint32_t form_index);

  WipedVector<char> bytes_;
  std::vector<std::string> names_;
  std::vector<std::string> too_short_;
  WipedVector<Form> forms_;
  // In order of form, then reach.
  WipedVector<Repetition> repetitions_;
  GramFilter filter_;
  // By hash of the first four bytes and by the first byte: the forms that may begin so. The entries of key i stand from
  // offsets[i] to offsets[i + 1].
  struct Index {
    WipedVector<uint32_t> offsets;
    WipedVector<uint32_t> forms;

    absl::Span<const uint32_t> Find(size_t key) const {
      return absl::MakeConstSpan(forms).subspan(offsets[key], offsets[key + 1] - offsets[key]);
    }
  };
  static Index MakeIndex(WipedVector<uint64_t>& entries, size_t keys);
  Index by_gram_;
  Index by_byte_;
  int gram_shift_ = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_PATTERN_SET_H_
