#ifndef KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_RULES_H_
#define KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_RULES_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/credentials.pb.h"
#include "server/access/access.h"
#include "server/credentials/credential_query.h"
#include "server/credentials/parent_counts.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/pagination.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// The rules of CredentialService (keyferry/v1/credentials.proto says what each method answers). Thread-safe.
//
// Every method asks Authorize before it says whether anything exists. Values go from the request straight into wiped
// memory; the request itself is the RPC layer's to wipe. Changes of one credential are serialized by preconditions: a
// change that loses is repeated on what the winner left, unless its etag is stale by then.
class CredentialRules {
 public:
  // All pointers must outlive this.
  CredentialRules(storage::Store* store, Clock clock, const PageTokens* pages, UsageRecorder* usage);

  // These wait for a synced commit.
  absl::StatusOr<v1::Credential> CreateCredential(const Caller& caller, const v1::CreateCredentialRequest& request);
  absl::StatusOr<v1::Credential> UpdateCredential(const Caller& caller, const v1::UpdateCredentialRequest& request);
  absl::StatusOr<v1::Credential> RotateCredential(const Caller& caller, const v1::RotateCredentialRequest& request);
  absl::StatusOr<v1::Credential> RollbackCredential(const Caller& caller, const v1::RollbackCredentialRequest& request);
  absl::StatusOr<google::protobuf::Empty> DeleteCredential(const Caller& caller,
                                                           const v1::DeleteCredentialRequest& request);
  absl::StatusOr<v1::BatchRotateCredentialsResponse> BatchRotateCredentials(
      const Caller& caller, const v1::BatchRotateCredentialsRequest& request);
  absl::StatusOr<v1::ImportCredentialsResponse> ImportCredentials(const Caller& caller,
                                                                  const v1::ImportCredentialsRequest& request);

  // These only read.
  absl::StatusOr<v1::Credential> GetCredential(const Caller& caller, const v1::GetCredentialRequest& request) const;
  absl::StatusOr<v1::ListCredentialsResponse> ListCredentials(const Caller& caller,
                                                              const v1::ListCredentialsRequest& request) const;
  absl::StatusOr<v1::ListMyCredentialsResponse> ListMyCredentials(const Caller& caller,
                                                                  const v1::ListMyCredentialsRequest& request) const;

 private:
  using CredentialRecord = storage::records::CredentialRecord;

  // One credential as a change found it.
  struct Found {
    std::shared_ptr<storage::StoreView> view;
    CredentialRecord record;
    storage::Revision revision = 0;
  };
  // Edits found->record and adds what else changes.
  using Edit = std::function<absl::Status(Found* found, storage::Mutation* mutation)>;

  static absl::StatusOr<Found> Find(std::shared_ptr<storage::StoreView> view, const ChildName& name);
  // Finds, checks the etag, edits, counts the change and commits; repeats what lost a race.
  absl::StatusOr<v1::Credential> Change(const Caller& caller, const ChildName& name, const std::string& etag,
                                        const Edit& edit);
  absl::StatusOr<v1::Credential> ChangeOnce(const Caller& caller, const ChildName& name, const std::string& etag,
                                            const Edit& edit);
  // Checks the etag, edits, counts the change and adds it to the mutation.
  absl::Status AddChange(const Caller& caller, const ChildName& name, const std::string& etag, const Edit& edit,
                         Found* found, storage::Mutation* mutation) const;
  absl::Status CreateOnce(const Caller& caller, const ChildName& name, const CredentialRecord& record,
                          absl::string_view value);
  absl::Status DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag);
  // Runs until it does not lose a race; one repeater of a credential at a time.
  absl::Status RepeatOnConflict(const std::string& resource, const std::function<absl::Status()>& attempt);

  // One entry of BatchRotateCredentials and one whole ImportCredentials, whose fields were checked.
  struct Rotation;
  struct Import;
  absl::StatusOr<std::vector<Rotation>> CheckRotations(const Caller& caller,
                                                       const v1::BatchRotateCredentialsRequest& request) const;
  absl::StatusOr<v1::BatchRotateCredentialsResponse> RotateOnce(const Caller& caller,
                                                                const std::vector<Rotation>& rotations);
  absl::StatusOr<v1::ImportCredentialsResponse> ImportOnce(const Caller& caller, const Import& import);
  absl::Status AddImported(const Caller& caller, const Import& import, int index,
                           const std::shared_ptr<storage::StoreView>& view, v1::ImportResult* result,
                           storage::Mutation* mutation) const;
  // Takes the places of what is created, and commits unless only to be validated.
  absl::Status CommitCreates(const Caller& caller, const ParentName& parent, int creates, bool validate_only,
                             storage::Mutation mutation);

  // One credential of a list under way.
  struct Listed {
    ListPosition position;
    ParentName parent;
    CredentialRecord record;
  };
  absl::StatusOr<std::vector<Listed>> GatherListed(const storage::StoreView& view, const Caller& caller,
                                                   const ParentName& parent, const CredentialQuery& query,
                                                   const std::optional<ListPosition>& after, size_t size) const;

  // The public form, with last use.
  absl::StatusOr<v1::Credential> Show(const Caller& caller, const ParentName& parent, const CredentialRecord& record,
                                      const storage::StoreView& view) const;

  storage::Store* const store_;
  const Clock clock_;
  const PageTokens* const pages_;
  UsageRecorder* const usage_;
  ParentCounts counts_;
  // Held while a change that lost a race is repeated, so that many of them on one credential do not starve.
  absl::Mutex repeating_[64];
  // What running calls with many values may hold.
  std::atomic<int64_t> batch_bytes_{0};
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_CREDENTIAL_RULES_H_
