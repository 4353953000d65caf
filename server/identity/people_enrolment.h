#ifndef KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_
#define KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_

#include <memory>

#include "absl/status/status.h"
#include "server/identity/external/one_shot.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

// Makes the directory say what the verified token of a person says (EnrolmentPlan). Thread-safe.
class PeopleEnrolment {
 public:
  virtual ~PeopleEnrolment() = default;

  // Why that failed a moment ago, or OK.
  virtual absl::Status Failure(const ExternalIdentity& identity) = 0;

  // Begins it, unless it is under way; returns what fires when it has ended, in whatever way.
  virtual std::shared_ptr<OneShot> Begin(std::shared_ptr<const ExternalIdentity> identity) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_PEOPLE_ENROLMENT_H_
