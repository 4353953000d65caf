#ifndef KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_
#define KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/identity/external/one_shot.h"
#include "server/identity/external_identities.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

// A person whose token was verified, as it was read.
struct VerifiedPerson {
  ExternalIdentities::Admitted admitted;
  // ExternalIdentities::Generation from before the token was verified.
  uint64_t generation = 0;
  // Where the call came from, for the audit log.
  std::string peer;
};

// Makes the directory say what the verified token of a person says (EnrolmentPlan). Thread-safe.
class PeopleEnrolment {
 public:
  virtual ~PeopleEnrolment() = default;

  // Why that failed a moment ago, or OK.
  virtual absl::Status Failure(const ExternalIdentity& identity) = 0;

  // Begins it, unless it is under way; returns what fires when it has ended, in whatever way.
  virtual std::shared_ptr<OneShot> Begin(VerifiedPerson person) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_
