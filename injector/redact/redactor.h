#ifndef KEYFERRY_INJECTOR_REDACT_REDACTOR_H_
#define KEYFERRY_INJECTOR_REDACT_REDACTOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/redact/form.h"
#include "injector/redact/json_tracker.h"
#include "injector/redact/pattern_set.h"
#include "injector/redact/wiped_vector.h"

namespace keyferry::injector {

// Replaces every value of a set of patterns in a stream of bytes, in whatever form it stands (injector/redact/form.h),
// by
// `[keyferry:NAME]`. Values that overlap are replaced as one, by the name of the longest (of those, the first).
//
// The output depends on the input alone, not on how it was cut into pieces. Held back is only what may be the beginning
// of a value, at most as much as the longest form has bytes. A line of JSON (as JsonTracker takes it for one) stays
// valid: an escape that the value cuts is completed, and a value that stands outside of strings becomes a string. Not
// so where the value is itself JSON whose brackets do not match, or members without their braces.
//
// One for each stream and process; not thread-safe. What it holds is wiped; the caller looks after the output.
class Redactor {
 public:
  explicit Redactor(std::shared_ptr<const PatternSet> patterns);

  // From the next byte on other values are looked for. A value that begins in the bytes that are held is still found,
  // of the former patterns and of the new ones.
  void SetPatterns(std::shared_ptr<const PatternSet> patterns);

  // Appends what may be passed on.
  void Write(absl::string_view input, std::string& output);

  // The stream is idle and perhaps awaits an answer: passes on what is held, unless it may be more than a quarter of
  // some value. If such a value then continues, the rest of it is replaced.
  void FlushIdle(std::string& output);

  // The stream has ended: passes on what is left.
  void Finish(std::string& output);

  // The bytes that FlushIdle may pass on; not 0 if there are any.
  size_t held() const;

 private:
  struct Patterns {
    std::shared_ptr<const PatternSet> set;
    // Values that begin at this place of the stream or later are not looked for.
    uint64_t end;
  };
  // A form that agrees with all of the text from the cursor on.
  struct Alive {
    const PatternSet* set;
    uint32_t form;
    Progress progress;
  };
  // How far a form whose units repeat will agree, known without comparing, if its first units end at a place.
  struct Foreseen {
    uint64_t checked = 0;
    size_t units = 0;
    uint64_t end = 0;
  };
  // A value that begins at the cursor.
  struct Match {
    size_t size = 0;
    const std::string* name = nullptr;
  };
  // Overlapping values that were found and are not replaced yet. They begin before the cursor or at it.
  struct Found {
    bool open = false;
    uint64_t end = 0;
    size_t longest = 0;
    std::string name;
    // Stands at the beginning.
    JsonTracker before;
  };

  void Process(absl::string_view text, bool at_end, std::string& output);
  uint64_t NextStart(absl::string_view text) const;
  Match Examine(absl::string_view text, bool at_end);
  void ExamineForm(const PatternSet& set, uint32_t form, absl::string_view rest, bool at_end, Progress progress,
                   Match& longest);
  void Foresee(uint32_t form, absl::string_view rest, const Progress& progress);
  Progress Recall(uint32_t form, absl::string_view rest) const;
  void AddFound(absl::string_view text, const Match& match, std::string& output);
  bool CloseFound(absl::string_view text, bool at_end, std::string& output);
  bool ExtendFound(absl::string_view text);
  bool FoundMayGoOn() const;
  void Replace(std::string& output);
  void Settle(absl::string_view text, uint64_t end);
  void PassOn(absl::string_view text, uint64_t end, std::string& output);
  bool GivesAway(absl::string_view text) const;
  void DropFormerPatterns();
  absl::string_view kept() const { return {kept_.data() + kept_from_, kept_.size() - kept_from_}; }
  void Append(absl::string_view input);
  void DropUntilCursor();
  void DropKept();

  // The patterns in use are the last.
  std::vector<Patterns> patterns_;
  // Places in the stream are counted from its beginning. The next place at which a value may begin:
  uint64_t cursor_ = 0;
  // Where the text at hand begins: what is kept, or else the input. At the cursor when nothing is being processed.
  uint64_t base_ = 0;
  // Up to here the bytes have been passed on or belong to what was found; `tracker_` stands here.
  uint64_t settled_ = 0;
  WipedVector<char> kept_;
  // From where on `kept_` is still wanted.
  size_t kept_from_ = 0;
  // If not empty, the cursor has been examined.
  std::vector<Alive> alive_;
  // By form of the patterns in use.
  std::vector<std::array<Foreseen, 8>> foreseen_;
  Found found_;
  JsonTracker tracker_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_REDACTOR_H_
