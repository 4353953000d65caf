#include "injector/redact/pattern_set.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"

namespace keyferry::injector {
namespace {

// Comparing this many units again at every start is linear enough.
constexpr size_t kDeepUnits = 256;

std::string SafeName(absl::string_view name) {
  std::string safe(name);
  for (char& c : safe) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == '"' || c == '\\') c = '_';
  }
  return safe;
}

// The first bytes of a text.
using Prefix = std::array<char, GramFilter::kPrefixBytes>;

// Adds every prefix that a form may have; of hexadecimal digits only the lower case.
void ListPrefixes(const Form& form, size_t unit, Prefix prefix, size_t size, WipedVector<Prefix>& prefixes) {
  for (const Spelling& spelling : ListSpellings(form, unit)) {
    const size_t taken = std::min<size_t>(spelling.size, prefix.size() - size);
    std::copy_n(spelling.text.begin(), taken, prefix.begin() + size);
    if (size + taken == prefix.size()) {
      prefixes.push_back(prefix);
    } else {
      ListPrefixes(form, unit + spelling.units, prefix, size + taken, prefixes);
    }
  }
}

// The lengths of the longest proper borders of the prefixes of `keys`.
WipedVector<uint32_t> Borders(const WipedVector<uint16_t>& keys) {
  WipedVector<uint32_t> borders(keys.size() + 1, 0);
  uint32_t border = 0;
  for (size_t i = 1; i < keys.size(); ++i) {
    while (border > 0 && keys[i] != keys[border]) border = borders[border];
    if (keys[i] == keys[border]) ++border;
    borders[i + 1] = border;
  }
  return borders;
}

uint64_t ByteKey(char c) { return static_cast<unsigned char>(c); }

template <typename T>
size_t BytesOf(const WipedVector<T>& list) {
  return list.capacity() * sizeof(T);
}

}  // namespace

std::shared_ptr<const PatternSet> PatternSet::Compile(absl::Span<const NamedValue> values) {
  std::shared_ptr<PatternSet> set(new PatternSet);
  size_t size = 0;
  for (const NamedValue& value : values) size += value.value.size();
  // The forms point into it, so it must not grow.
  set->bytes_.reserve(size);
  std::vector<absl::string_view> added;
  for (const NamedValue& value : values) {
    if (value.value.size() < kMinRedactedBytes) {
      set->too_short_.push_back(value.name);
      continue;
    }
    if (std::find(added.begin(), added.end(), value.value) != added.end()) continue;
    const absl::string_view copy(set->bytes_.data() + set->bytes_.size(), value.value.size());
    set->bytes_.insert(set->bytes_.end(), value.value.begin(), value.value.end());
    added.push_back(copy);
    set->AddForms(static_cast<uint32_t>(set->names_.size()), copy);
    set->names_.push_back(SafeName(value.name));
  }
  if (!set->empty()) set->IndexStarts();
  for (uint32_t form = 0; form < set->forms_.size(); ++form) set->FindRepetitions(form);
  return set;
}

void PatternSet::AddForms(uint32_t value_index, absl::string_view value) {
  Form form;
  form.value_index = value_index;
  form.value = value;
  const bool has_backslash = value.find('\\') != absl::string_view::npos;
  const bool has_percent = value.find('%') != absl::string_view::npos;
  for (const uint8_t backslashes : {1, 2, 4}) {
    if (backslashes > 1 && !has_backslash) break;
    for (const bool percent : {false, true}) {
      if (percent && !has_percent) break;
      form.backslashes = backslashes;
      form.percent = percent;
      form.literal = backslashes == 1 && !percent;
      forms_.push_back(form);
    }
  }
  form.encoding = Encoding::kHex;
  forms_.push_back(form);
  form.encoding = Encoding::kBase64;
  for (form.shift = 0; form.shift < 3; ++form.shift) forms_.push_back(form);
}

PatternSet::Index PatternSet::MakeIndex(WipedVector<uint64_t>& entries, size_t keys) {
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  Index index;
  index.offsets.assign(keys + 1, 0);
  index.forms.reserve(entries.size());
  for (const uint64_t entry : entries) {
    ++index.offsets[(entry >> 32) + 1];
    index.forms.push_back(static_cast<uint32_t>(entry));
  }
  for (size_t key = 0; key < keys; ++key) index.offsets[key + 1] += index.offsets[key];
  return index;
}

void PatternSet::IndexStarts() {
  WipedVector<uint32_t> hashes;
  WipedVector<uint64_t> starts;
  WipedVector<uint64_t> bytes;
  for (uint32_t form = 0; form < forms_.size(); ++form) {
    WipedVector<Prefix> prefixes;
    ListPrefixes(forms_[form], 0, {}, 0, prefixes);
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    for (const Prefix& prefix : prefixes) {
      for (size_t i = 0; i < GramFilter::kStride; ++i) hashes.push_back(GramHash(prefix.data() + i));
      starts.push_back(uint64_t{GramHash(prefix.data())} << 32 | form);
      bytes.push_back(ByteKey(prefix[0]) << 32 | form);
      if (forms_[form].encoding == Encoding::kHex)
        bytes.push_back(ByteKey(absl::ascii_toupper(prefix[0])) << 32 | form);
    }
  }
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  filter_.Build(hashes);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  int bits = 8;
  while (bits < 16 && (size_t{1} << bits) < 2 * starts.size()) ++bits;
  gram_shift_ = 32 - bits;
  for (uint64_t& start : starts) start = start >> 32 >> gram_shift_ << 32 | (start & 0xffffffff);
  by_gram_ = MakeIndex(starts, size_t{1} << bits);
  by_byte_ = MakeIndex(bytes, 256);
}

void PatternSet::FindRepetitions(uint32_t form_index) {
  const Form& form = forms_[form_index];
  const size_t count = UnitCount(form);
  if (count < kDeepUnits) return;
  // The first unit is left out: in base64 it has other spellings than the units that repeat it.
  WipedVector<uint16_t> keys(count - 1);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = UnitKey(form, i + 1);
  const WipedVector<uint32_t> borders = Borders(keys);
  for (uint32_t size = 1; size <= keys.size(); ++size) {
    const uint32_t period = size - borders[size];
    const bool ends = size == keys.size() || size + 1 - borders[size + 1] != period;
    if (ends && size >= kDeepUnits && size / 3 >= period) repetitions_.push_back({form_index, period, size + 1});
  }
}

size_t PatternSet::memory_bytes() const {
  size_t bytes = sizeof(*this) + BytesOf(bytes_) + BytesOf(forms_) + BytesOf(repetitions_) + filter_.memory_bytes();
  for (const Index* index : {&by_gram_, &by_byte_}) bytes += BytesOf(index->offsets) + BytesOf(index->forms);
  for (const std::string& name : names_) bytes += sizeof(name) + name.capacity();
  return bytes;
}

absl::Span<const uint32_t> PatternSet::Candidates(absl::string_view text) const {
  if (empty() || text.empty()) return {};
  if (text.size() >= kGramBytes) return by_gram_.Find(GramHash(text.data()) >> gram_shift_);
  return by_byte_.Find(static_cast<unsigned char>(text[0]));
}

size_t PatternSet::NextStart(absl::string_view text, size_t from) const {
  if (empty()) return text.size();
  while (from < text.size()) {
    const size_t hit = filter_.NextHit(text, from);
    const bool at_end = hit + kGramBytes > text.size();
    const size_t end = at_end ? text.size() : hit + 1;
    for (size_t start = hit + 1 - GramFilter::kStride; start < end; ++start) {
      if (!Candidates(text.substr(start)).empty()) return start;
    }
    from = end;
  }
  return text.size();
}

size_t PatternSet::Period(uint32_t form, size_t units) const {
  if (units < kDeepUnits) return 0;
  const auto less = [](const Repetition& repetition, const std::pair<uint32_t, size_t>& wanted) {
    return std::make_pair(repetition.form, size_t{repetition.reach}) < wanted;
  };
  const auto found = std::lower_bound(repetitions_.begin(), repetitions_.end(), std::make_pair(form, units), less);
  if (found == repetitions_.end() || found->form != form || found->period > (units - 1) / 3) return 0;
  return found->period;
}

}  // namespace keyferry::injector
