#include "storage/engine/rocksdb/log_scan.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/engine/rocksdb/crc32c.h"

namespace keyferry::storage {
namespace {

std::string Record(char type, const std::string& data) {
  const uint32_t crc = Crc32c(type + data);
  const uint32_t masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(masked >> shift));
  bytes.push_back(static_cast<char>(data.size()));
  bytes.push_back(static_cast<char>(data.size() >> 8));
  bytes.push_back(type);
  return bytes + data;
}

// Three records in one block, and where each begins.
struct Log {
  std::string bytes;
  std::vector<size_t> starts;
};

Log SmallLog() {
  Log log;
  for (const size_t size : {30, 200, 77}) {
    log.starts.push_back(log.bytes.size());
    log.bytes += Record(1, std::string(size, 'a'));
  }
  return log;
}

TEST(Crc32cTest, KnownValues) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720 appendix B.4
  EXPECT_EQ(ExtendCrc32c(Crc32c("1234"), "56789"), 0xe3069283u);
}

TEST(LogScanTest, WholeLogs) {
  EXPECT_EQ(ScanLog(""), LogState::kWhole);
  EXPECT_EQ(ScanLog(SmallLog().bytes), LogState::kWhole);
  // Fills a block but for three bytes, which the writer leaves zero.
  const std::string block = Record(1, std::string(32768 - 7 - 3, 'x')) + std::string(3, '\0');
  EXPECT_EQ(ScanLog(block + Record(1, "next")), LogState::kWhole);
  const std::string parts =
      Record(2, std::string(32768 - 7, 'x')) + Record(3, std::string(32768 - 7, 'y')) + Record(4, "z");
  EXPECT_EQ(ScanLog(parts), LogState::kWhole);
}

TEST(LogScanTest, CutAnywhereIsTornOrWhole) {
  const Log log = SmallLog();
  for (size_t size = 0; size < log.bytes.size(); ++size) {
    const bool at_start = std::find(log.starts.begin(), log.starts.end(), size) != log.starts.end();
    EXPECT_EQ(ScanLog(log.bytes.substr(0, size)), at_start ? LogState::kWhole : LogState::kTorn) << size;
  }
}

TEST(LogScanTest, EveryFlippedBitIsDamage) {
  const Log log = SmallLog();
  for (size_t bit = 0; bit < 8 * log.bytes.size(); ++bit) {
    std::string changed = log.bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(ScanLog(changed), LogState::kDamaged) << bit;
  }
}

TEST(LogScanTest, ZerosAtTheEndAreTorn) {
  EXPECT_EQ(ScanLog(SmallLog().bytes + std::string(100, '\0')), LogState::kTorn);
}

TEST(LogScanTest, RemovedRecordHeaderIsDamage) {
  Log log = SmallLog();
  log.bytes.erase(log.starts[1], 7);
  EXPECT_EQ(ScanLog(log.bytes), LogState::kDamaged);
}

}  // namespace
}  // namespace keyferry::storage
