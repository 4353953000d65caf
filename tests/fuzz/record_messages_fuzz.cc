// Opened records as every table parses them: any bytes either fail to parse or survive a round trip.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "storage/records/records.pb.h"

namespace {

template <typename Message>
void RoundTrip(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) return;
  Message again;
  if (!again.ParseFromString(message.SerializeAsString())) std::abort();
  if (again.SerializeAsString().size() != message.SerializeAsString().size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::storage::records;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  RoundTrip<OrgRecord>(bytes);
  RoundTrip<UserRecord>(bytes);
  RoundTrip<TeamRecord>(bytes);
  RoundTrip<TokenRecord>(bytes);
  RoundTrip<TokenIndexRecord>(bytes);
  RoundTrip<CredentialRecord>(bytes);
  RoundTrip<ValueRecord>(bytes);
  RoundTrip<McpServerRecord>(bytes);
  RoundTrip<UsageStateRecord>(bytes);
  return 0;
}
