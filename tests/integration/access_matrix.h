#ifndef KEYFERRY_TESTS_INTEGRATION_ACCESS_MATRIX_H_
#define KEYFERRY_TESTS_INTEGRATION_ACCESS_MATRIX_H_

#include <string>
#include <vector>

#include "grpcpp/support/status.h"

namespace keyferry::testing {

// Who may do what, written down from the specification and apart from the server's own table: the source of
// access_matrix_test.cc, which sends every row as every caller to every place on every tier.
//
// A new method needs one row for each kind of place that it can act on; a method without one fails the test.

// What a resource belongs to. Decides which relations there are, and so the letters of a row.
enum class Place {
  // Admin, Member | service with role ADMIN, MEMBER | workload that is granted the MCP server, another | other org
  kOrg,
  // Admin, Owner, team Admin, team Member, another Member | services | workloads | other org
  kTeam,
  // Self, Admin, another Member | services | workloads | other org
  kUser,
};

struct MatrixRow {
  std::string method;
  Place place;
  // What the row acts on, below its place ("credentials/KEY"), or "" for the place itself. $N becomes a number that has
  // not been used up: it grows with every call that was allowed.
  std::string target;
  // Text format. @ is the name of the target, $ORG the organization.
  std::string request;
  // One letter for each relation in the order of Place; spaces do not count. + allowed, D PERMISSION_DENIED, N
  // NOT_FOUND in the very words of absence, I INVALID_ARGUMENT. A caller in several relations has the most of them.
  std::string expected;

  // What an allowed call answers where the tier does not include the team: the same, or FAILED_PRECONDITION.
  bool refused_if_suspended = false;
  // The team that decides that, if it is not the place's.
  std::string tier_team = "";
  // On tier TEAM, what is in the team `default` stays: FAILED_PRECONDITION.
  bool stays_on_tier_team = false;
  // What an allowed call answers.
  grpc::StatusCode allowed = grpc::OK;
  // False: allowed calls are left out, since they would take away what other rows need.
  bool send_allowed = true;
  // Whether the target is made if it is absent, so that a name which nobody has says nothing.
  bool makes_target = false;
};

std::vector<MatrixRow> AccessMatrix();

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_ACCESS_MATRIX_H_
