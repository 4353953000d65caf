#include "server/errors.h"

#include <string>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

v1::ErrorDetail DetailOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  EXPECT_TRUE(GetDetail(status, &detail)) << status;
  return detail;
}

TEST(ErrorsTest, InvalidFieldNamesTheField) {
  const absl::Status status = InvalidField("credential.description", "longer than 1024 bytes", "Shorten it.");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "credential.description: longer than 1024 bytes");
  EXPECT_EQ(DetailOf(status).reason(), "INVALID_FIELD");
  EXPECT_EQ(DetailOf(status).field(), "credential.description");
  EXPECT_EQ(DetailOf(status).next_step(), "Shorten it.");
}

TEST(ErrorsTest, PlainStatusHasNoDetail) {
  v1::ErrorDetail detail;
  EXPECT_FALSE(GetDetail(absl::NotFoundError("x"), &detail));
}

TEST(ErrorsTest, FromStoreKeepsTheCodeAndDropsInnerFacts) {
  struct Case {
    absl::Status inner;
    std::string reason;
  };
  const std::string inner_fact = "/var/lib/keyferry/000012.sst";
  for (const Case& c :
       {Case{absl::NotFoundError(inner_fact), "NOT_FOUND"}, Case{absl::AbortedError(inner_fact), "CONFLICT"},
        Case{absl::DataLossError(inner_fact), "DATA_LOSS"},
        Case{absl::ResourceExhaustedError(inner_fact), "STORE_FULL"},
        Case{absl::FailedPreconditionError(inner_fact), "STORE_READ_ONLY"},
        Case{absl::UnavailableError(inner_fact), "STORE_UNAVAILABLE"},
        Case{absl::DeadlineExceededError(inner_fact), "STORE_TIMEOUT"},
        Case{absl::InvalidArgumentError(inner_fact), "TOO_LARGE"},
        Case{absl::InternalError(inner_fact), "STORE_ERROR"}}) {
    SCOPED_TRACE(c.reason);
    const absl::Status outer = FromStore(c.inner, "orgs/acme");
    EXPECT_EQ(outer.code(), c.inner.code());
    EXPECT_EQ(DetailOf(outer).reason(), c.reason);
    EXPECT_FALSE(DetailOf(outer).next_step().empty());
    EXPECT_EQ(outer.ToString(absl::StatusToStringMode::kWithEverything).find("sst"), std::string::npos);
  }
}

TEST(ErrorsTest, FromStoreLeavesSuccessAndDetailedErrorsAlone) {
  EXPECT_TRUE(FromStore(absl::OkStatus(), "orgs/acme").ok());
  EXPECT_EQ(DetailOf(FromStore(StaleEtag("orgs/a"), "orgs/b")).resource(), "orgs/a");
}

}  // namespace
}  // namespace keyferry::server
