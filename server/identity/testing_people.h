#ifndef KEYFERRY_SERVER_IDENTITY_TESTING_PEOPLE_H_
#define KEYFERRY_SERVER_IDENTITY_TESTING_PEOPLE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/audit.pb.h"
#include "server/audit/audit_rules.h"
#include "server/directory/testing_directory.h"
#include "server/identity/authenticator.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

// Testonly. People who bring ID tokens to a directory.
class PeopleAuthenticationTest : public ::testing::Test {
 protected:
  static constexpr char kPeer[] = "ipv4:192.0.2.1:4711";

  PeopleAuthenticationTest() { directory_.external.entered = {"acme"}; }

  PersonClaims Claims(const std::string& user = "ada") {
    PersonClaims claims;
    claims.org = "acme";
    claims.user = user;
    claims.may_bind = true;
    claims.issue_time = directory_.now;
    return claims;
  }
  // A new token, by the issuer `cluster`.
  std::string Token(const PersonClaims& claims, const std::string& subject = "sub-ada",
                    const std::string& issuer = "cluster", const std::string& issuer_url = "") {
    ExternalIdentity identity;
    identity.issuer = issuer;
    identity.issuer_url = issuer_url;
    identity.subject = subject;
    identity.person = std::make_shared<const PersonClaims>(claims);
    const std::string token = absl::StrCat("aa.bb.", ++tokens_);
    directory_.external.Add(token, identity, directory_.now + absl::Hours(1));
    return token;
  }
  absl::StatusOr<std::shared_ptr<const Caller>> Call(const std::string& token) {
    ExternalIdentities::Pending pending;
    const std::string authorization = absl::StrCat("Bearer ", token);
    auto caller = directory_.authenticator.Authenticate(
        CallCredentials{authorization, "", false, nullptr, nullptr, kPeer}, &pending);
    if (pending == nullptr) return caller;
    EXPECT_EQ(ReasonOf(caller.status()), "IDENTITY_UNAVAILABLE");
    bool ended = false;
    pending([&ended] { ended = true; });
    EXPECT_TRUE(ended);
    return directory_.authenticator.Authenticate(absl::StrCat("Bearer ", token));
  }
  // The user's id, or the reason of the refusal.
  std::string Who(const std::string& token) {
    const auto caller = Call(token);
    return caller.ok() ? (*caller)->id : ReasonOf(caller.status());
  }
  v1::User User(const std::string& id) {
    v1::GetUserRequest request;
    request.set_name("orgs/acme/users/" + id);
    const auto user = directory_.users.GetUser(directory_.Root(), request);
    return user.ok() ? *user : v1::User();
  }
  absl::Status Bind(const std::string& id, const std::string& issuer, const std::string& subject) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("orgs/acme/users/" + id);
    request.mutable_user()->set_issuer(issuer);
    request.mutable_user()->set_subject(subject);
    request.mutable_update_mask()->add_paths("issuer");
    return directory_.users.UpdateUser(directory_.Root(), request).status();
  }
  absl::Status Delete(const std::string& id) {
    v1::DeleteUserRequest request;
    request.set_name("orgs/acme/users/" + id);
    return directory_.users.DeleteUser(directory_.Root(), request).status();
  }
  std::vector<std::string> Methods() {
    const AuditRules rules(directory_.store.get(), &directory_.pages);
    v1::ListAuditEntriesRequest request;
    request.set_parent("orgs/acme");
    request.mutable_filter()->set_principal("orgs/acme/users/ada");
    const auto listed = rules.ListAuditEntries(directory_.Root(), request);
    std::vector<std::string> methods;
    if (!listed.ok()) return methods;
    for (const v1::AuditEntry& entry : listed->entries()) {
      methods.push_back(entry.method());
      EXPECT_EQ(entry.identity().issuer(), "cluster");
      EXPECT_EQ(entry.identity().subject(), "sub-ada");
      EXPECT_EQ(entry.resource(), "orgs/acme/users/ada");
      EXPECT_EQ(entry.peer(), kPeer);
    }
    return methods;
  }

  TestDirectory directory_;
  int tokens_ = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_TESTING_PEOPLE_H_
