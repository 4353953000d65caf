// BatchRotateCredentials and ImportCredentials: all or none, by everybody's permission, telling nothing of values.
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/records.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

constexpr char kSecret[] = "the-secret-value";

class BatchesTest : public testing::TestWithParam<EngineKind> {
 protected:
  struct Rotation {
    std::string name;
    std::string value;
    std::string etag;
    int grace_hours = 24;
  };
  absl::StatusOr<v1::BatchRotateCredentialsResponse> Rotate(const Caller& caller,
                                                            const std::vector<Rotation>& rotations,
                                                            const std::string& parent = "orgs/acme") {
    v1::BatchRotateCredentialsRequest request;
    request.set_parent(parent);
    for (const Rotation& rotation : rotations) {
      v1::RotateCredentialRequest* one = request.add_requests();
      one->set_name(rotation.name);
      one->set_value(rotation.value);
      one->set_etag(rotation.etag);
      one->mutable_grace()->set_seconds(rotation.grace_hours * 3600);
    }
    return world_.credentials->BatchRotateCredentials(caller, request);
  }
  // Entries are "NAME=value".
  v1::ImportCredentialsRequest Import(const std::vector<std::string>& entries,
                                      v1::ImportConflict conflict = v1::IMPORT_CONFLICT_UNSPECIFIED,
                                      const std::string& parent = "orgs/acme") {
    v1::ImportCredentialsRequest request;
    request.set_parent(parent);
    request.set_conflict(conflict);
    for (const std::string& text : entries) {
      v1::ImportEntry* entry = request.add_entries();
      entry->set_credential_id(text.substr(0, text.find('=')));
      entry->set_value(text.substr(text.find('=') + 1));
    }
    return request;
  }
  // "CREATE 1, SKIP 3" or the code.
  std::string Told(const absl::StatusOr<v1::ImportCredentialsResponse>& imported) {
    if (!imported.ok()) return absl::StatusCodeToString(imported.status().code());
    std::string text;
    for (const v1::ImportResult& result : imported->results()) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", v1::ImportAction_Name(result.action()).substr(14), " ",
                      result.version());
    }
    return text;
  }

  World world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, BatchesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(BatchesTest, RotatesOverScopesInOneCommitEachWithItsGrace) {
  const Caller ada = world_.As("ada");
  world_.Create(ada, "orgs/acme/teams/eng", "A", "1");
  world_.Create(ada, "orgs/acme/users/ada", "A", "2");
  const auto before = world_.Revision();
  const auto rotated = Rotate(
      ada, {{"orgs/acme/users/ada/credentials/A", "two", "", 0}, {"orgs/acme/teams/eng/credentials/A", "one", "", 5}});
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(world_.Revision(), before + 1) << "one commit";
  ASSERT_EQ(rotated->credentials_size(), 2);
  EXPECT_EQ(rotated->credentials(0).name(), "orgs/acme/users/ada/credentials/A");
  EXPECT_EQ(rotated->credentials(0).previous_version(), 0);
  EXPECT_EQ(rotated->credentials(1).version(), 2);
  EXPECT_EQ(rotated->credentials(1).previous_version_destroy_time().seconds(),
            absl::ToUnixSeconds(world_.now) + 5 * 3600);
  EXPECT_EQ(rotated->SerializeAsString().find("one"), std::string::npos);
  for (const v1::Credential& one : rotated->credentials()) {
    EXPECT_EQ(world_.Get(ada, one.name())->SerializeAsString(), one.SerializeAsString());
  }
  EXPECT_EQ(world_.Value("teams/eng", "A"), "v2:one");
  EXPECT_EQ(world_.Value("teams/eng", "A", Table::kPreviousValue), "v1:1");
  EXPECT_EQ(world_.Value("users/ada", "A"), "v2:two");
  EXPECT_EQ(world_.Value("users/ada", "A", Table::kPreviousValue), "(absent)");
}

TEST_P(BatchesTest, OneRotationThatFailsFailsAll) {
  const Caller ada = world_.As("ada");
  const Caller root = world_.As("root");
  const std::string eng = "orgs/acme/teams/eng/credentials/";
  const std::string etag = world_.Create(ada, "orgs/acme/teams/eng", "A", "1").etag();
  world_.Create(ada, "orgs/acme/teams/eng", "B", "1");
  world_.Create(ada, "orgs/acme/teams/default", "D", "1");
  world_.Create(root, "orgs/acme", "O", "1");
  world_.Create(world_.As("bob"), "orgs/acme/users/bob", "P", "1");
  const std::string fresh = Rotate(ada, {{eng + "A", "2"}})->credentials(0).etag();
  struct Case {
    std::string what;
    absl::Status status;
    absl::StatusCode code;
    std::string field;
  };
  const auto before = world_.Revision();
  std::vector<Case> cases = {
      {"stale etag", Rotate(ada, {{eng + "B", "x"}, {eng + "A", "x", etag}}).status(), absl::StatusCode::kAborted},
      {"absent", Rotate(ada, {{eng + "A", "x"}, {eng + "ABSENT", "x"}}).status(), absl::StatusCode::kNotFound},
      {"not permitted", Rotate(ada, {{eng + "A", "x"}, {"orgs/acme/credentials/O", "x"}}).status(),
       absl::StatusCode::kPermissionDenied},
      {"of another user",
       Rotate(root, {{"orgs/acme/credentials/O", "x"}, {"orgs/acme/users/bob/credentials/P", "x"}}).status(),
       absl::StatusCode::kNotFound},
      {"member", Rotate(world_.As("bob"), {{eng + "A", "x"}}).status(), absl::StatusCode::kPermissionDenied},
      {"stranger", Rotate(world_.As("mallory"), {{eng + "A", "x"}}).status(), absl::StatusCode::kNotFound},
      {"workload", Rotate(world_.Workload({}), {{eng + "A", "x"}}).status(), absl::StatusCode::kNotFound},
      {"twice", Rotate(ada, {{eng + "A", "x"}, {eng + "B", "x"}, {eng + "A", "y"}}).status(),
       absl::StatusCode::kInvalidArgument, "requests[2].name"},
      {"other org", Rotate(ada, {{eng + "A", "x"}, {"orgs/other/credentials/X", "x"}}).status(),
       absl::StatusCode::kInvalidArgument, "requests[1].name"},
      {"empty value", Rotate(ada, {{eng + "A", "x"}, {eng + "B", ""}}).status(), absl::StatusCode::kInvalidArgument,
       "requests[1].value"},
      {"grace", Rotate(ada, {{eng + "A", "x", "", 721}}).status(), absl::StatusCode::kInvalidArgument,
       "requests[0].grace"},
      {"name", Rotate(ada, {{"orgs/acme/credentials", "x"}}).status(), absl::StatusCode::kInvalidArgument,
       "requests[0].name"},
      {"none", Rotate(ada, {}).status(), absl::StatusCode::kInvalidArgument, "requests"},
      {"many", Rotate(ada, std::vector<Rotation>(101, {eng + "A", "x"})).status(), absl::StatusCode::kInvalidArgument,
       "requests"},
      {"team as parent", Rotate(ada, {{eng + "A", "x"}}, "orgs/acme/teams/eng").status(),
       absl::StatusCode::kInvalidArgument, "parent"},
  };
  world_.tier = v1::TIER_TEAM;
  cases.push_back(
      {"suspended",
       Rotate(world_.As("ada"), {{"orgs/acme/teams/default/credentials/D", "x"}, {eng + "A", "x"}}).status(),
       absl::StatusCode::kFailedPrecondition});
  for (const Case& c : cases) {
    EXPECT_EQ(c.status.code(), c.code) << c.what << ": " << c.status;
    EXPECT_EQ(DetailOf(c.status).field(), c.field) << c.what;
  }
  EXPECT_EQ(world_.Revision(), before) << "nothing was changed";
  world_.tier = v1::TIER_BUSINESS;
  EXPECT_TRUE(Rotate(ada, {{eng + "B", "x"}, {eng + "A", "x", fresh}}).ok());
  // What is hidden and what is absent answer alike.
  const auto told = [&](const std::string& user) {
    return server::Told(Rotate(root, {{absl::StrCat("orgs/acme/users/", user, "/credentials/P"), "x"}}).status());
  };
  std::string absent = told("zoe");
  for (size_t at = absent.find("zoe"); at != std::string::npos; at = absent.find("zoe")) absent.replace(at, 3, "bob");
  EXPECT_EQ(told("bob"), absent);
}

TEST_P(BatchesTest, ConcurrentBatchesOfTheSameCredentialsDoNotMix) {
  const Caller root = world_.As("root");
  for (const char* id : {"A", "B", "C"}) world_.Create(root, "orgs/acme", id, "0");
  std::vector<std::thread> threads;
  for (const char* value : {"x", "y"}) {
    threads.emplace_back([&, value] {
      for (int i = 0; i < 10; ++i) {
        std::vector<Rotation> rotations;
        for (const char* id : {"A", "B", "C"}) rotations.push_back({absl::StrCat("orgs/acme/credentials/", id), value});
        EXPECT_TRUE(Rotate(root, rotations).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(world_.Value("", "A").substr(0, 4), "v21:");
  EXPECT_EQ(world_.Value("", "A"), world_.Value("", "B"));
  EXPECT_EQ(world_.Value("", "A"), world_.Value("", "C"));
}

TEST_P(BatchesTest, ImportTreatsWhatIsStoredAsAsked) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "OLD", "1");
  const auto import = [&](const v1::ImportCredentialsRequest& request) {
    return world_.credentials->ImportCredentials(root, request);
  };
  const auto before = world_.Revision();
  EXPECT_EQ(Told(import(Import({"NEW=n", "OLD=2"}))), "ALREADY_EXISTS");
  EXPECT_EQ(Told(import(Import({"NEW=n", "OLD=2"}, v1::IMPORT_CONFLICT_FAIL))), "ALREADY_EXISTS");
  EXPECT_EQ(world_.Revision(), before) << "all or none";
  EXPECT_NE(DetailOf(import(Import({"OLD=2"})).status()).next_step().find("--on-conflict"), std::string::npos);
  for (const auto& [conflict, told] : {std::pair(v1::IMPORT_CONFLICT_ROTATE, "CREATE 1, ROTATE 2"),
                                       std::pair(v1::IMPORT_CONFLICT_SKIP, "CREATE 1, SKIP 1")}) {
    v1::ImportCredentialsRequest request = Import({"NEW=n", "OLD=2"}, conflict);
    request.set_validate_only(true);
    EXPECT_EQ(Told(import(request)), told);
  }
  EXPECT_EQ(world_.Revision(), before) << "only validated";

  EXPECT_EQ(Told(import(Import({"NEW=n", "OLD=2"}, v1::IMPORT_CONFLICT_SKIP))), "CREATE 1, SKIP 1");
  EXPECT_EQ(world_.Revision(), before + 1) << "one commit";
  EXPECT_EQ(world_.Value("", "NEW"), "v1:n");
  EXPECT_EQ(world_.Value("", "OLD"), "v1:1");
  EXPECT_EQ(Told(import(Import({"NEW=x", "OLD=x"}, v1::IMPORT_CONFLICT_SKIP))), "SKIP 1, SKIP 1");
  EXPECT_EQ(world_.Revision(), before + 1) << "nothing to store";

  v1::ImportCredentialsRequest request = Import({"OLD=2", "NEWER=n"}, v1::IMPORT_CONFLICT_ROTATE);
  request.mutable_grace()->set_seconds(60);
  for (v1::ImportEntry& entry : *request.mutable_entries()) {
    entry.set_description("from a file");
    entry.mutable_rotate_by()->set_seconds(1900000000);
  }
  EXPECT_EQ(Told(import(request)), "ROTATE 2, CREATE 1");
  EXPECT_EQ(world_.Value("", "OLD"), "v2:2");
  EXPECT_EQ(world_.Value("", "OLD", Table::kPreviousValue), "v1:1");
  // What an entry leaves out stays.
  EXPECT_EQ(Told(import(Import({"OLD=3"}, v1::IMPORT_CONFLICT_ROTATE))), "ROTATE 3");
  for (const char* id : {"OLD", "NEWER"}) {
    const auto shown = world_.Get(root, absl::StrCat("orgs/acme/credentials/", id));
    EXPECT_EQ(shown->description(), "from a file");
    EXPECT_EQ(shown->rotate_by().seconds(), 1900000000);
    EXPECT_EQ(shown->updater(), "orgs/acme/users/root");
  }
  world_.Restart();
  EXPECT_EQ(world_.Value("", "OLD"), "v3:3");
}

TEST_P(BatchesTest, ImportTellsNothingOfWhatIsStored) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "OLD", kSecret);
  for (const bool validate_only : {true, false}) {
    std::vector<std::string> told;
    for (const std::string& guess : {std::string(kSecret), std::string("wrong")}) {
      v1::ImportCredentialsRequest request = Import({"OLD=" + guess}, v1::IMPORT_CONFLICT_ROTATE);
      request.set_validate_only(validate_only);
      const auto imported = world_.credentials->ImportCredentials(root, request);
      ASSERT_TRUE(imported.ok()) << imported.status();
      told.push_back(absl::StrCat(imported->results_size(), v1::ImportAction_Name(imported->results(0).action())));
    }
    EXPECT_EQ(told[0], told[1]);
  }
  EXPECT_EQ(world_.Get(root, "orgs/acme/credentials/OLD")->version(), 3) << "the same value is a rotation all the same";
}

TEST_P(BatchesTest, BadImportsAreNamedAndChangeNothing) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "OLD", "1");
  using Edit = std::function<void(v1::ImportCredentialsRequest*)>;
  struct Case {
    std::string what;
    absl::StatusCode code;
    std::string field;
    Caller caller;
    Edit edit;
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const std::vector<Case> cases = {
      {"parent", invalid, "parent", root, [](auto* r) { r->set_parent("orgs/acme/services/portal"); }},
      {"no entries", invalid, "entries", root, [](auto* r) { r->clear_entries(); }},
      {"many", invalid, "entries", root,
       [](auto* r) {
         while (r->entries_size() <= 1000) r->add_entries();
       }},
      {"name", invalid, "entries[1].credential_id", root,
       [](auto* r) { r->mutable_entries(1)->set_credential_id("1A"); }},
      {"ours", invalid, "entries[1].credential_id", root,
       [](auto* r) { r->mutable_entries(1)->set_credential_id("KEYFERRY_X"); }},
      {"hijacking", invalid, "entries[1].credential_id", root,
       [](auto* r) { r->mutable_entries(1)->set_credential_id("LD_PRELOAD"); }},
      {"twice", invalid, "entries[1].credential_id", root,
       [](auto* r) { r->mutable_entries(1)->set_credential_id("A"); }},
      {"value", invalid, "entries[1].value", root, [](auto* r) { r->mutable_entries(1)->set_value(""); }},
      {"NUL", invalid, "entries[0].value", root,
       [](auto* r) { r->mutable_entries(0)->set_value(std::string("the\0secret", 10)); }},
      {"long", invalid, "entries[0].value", root,
       [](auto* r) { r->mutable_entries(0)->set_value(std::string(65537, 'x')); }},
      {"description", invalid, "entries[0].description", root,
       [](auto* r) { r->mutable_entries(0)->set_description(std::string(1025, 'x')); }},
      {"rotate_by", invalid, "entries[1].rotate_by", root,
       [](auto* r) { r->mutable_entries(1)->mutable_rotate_by()->set_seconds(-1); }},
      {"conflict", invalid, "conflict", root, [](auto* r) { r->set_conflict(static_cast<v1::ImportConflict>(9)); }},
      {"grace", invalid, "grace", root, [](auto* r) { r->mutable_grace()->set_seconds(-1); }},
      {"absent team", absl::StatusCode::kNotFound, "", root, [](auto* r) { r->set_parent("orgs/acme/teams/void"); }},
      {"team as ADMIN", absl::StatusCode::kPermissionDenied, "", root,
       [](auto* r) { r->set_parent("orgs/acme/teams/eng"); }},
      {"user as ADMIN", absl::StatusCode::kPermissionDenied, "", root,
       [](auto* r) { r->set_parent("orgs/acme/users/bob"); }},
      {"member", absl::StatusCode::kPermissionDenied, "", world_.As("bob"), [](auto*) {}},
      {"member, only validated", absl::StatusCode::kPermissionDenied, "", world_.As("bob"),
       [](auto* r) { r->set_validate_only(true); }},
      {"stranger", absl::StatusCode::kNotFound, "", world_.As("mallory"), [](auto*) {}},
      {"workload", absl::StatusCode::kNotFound, "", world_.Workload({}), [](auto*) {}},
  };
  const auto before = world_.Revision();
  for (const Case& c : cases) {
    v1::ImportCredentialsRequest request = Import({"A=" + std::string(kSecret), "B=b", "OLD=o"});
    c.edit(&request);
    const absl::Status status = world_.credentials->ImportCredentials(c.caller, request).status();
    EXPECT_EQ(status.code(), c.code) << c.what << ": " << status;
    EXPECT_EQ(DetailOf(status).field(), c.field) << c.what;
    EXPECT_EQ(server::Told(status).find("secret"), std::string::npos) << c.what;
  }
  world_.tier = v1::TIER_FREE;
  const Caller ada = world_.As("ada");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      world_.credentials->ImportCredentials(ada, Import({"A=1"}, v1::IMPORT_CONFLICT_FAIL, "orgs/acme/teams/eng"))
          .status()));
  EXPECT_EQ(world_.Revision(), before) << "nothing was changed";
}

TEST_P(BatchesTest, ImportRespectsTheQuotaAtomically) {
  const Caller root = world_.As("root");
  const auto import = [&](int first, int count, bool validate_only = false) {
    v1::ImportCredentialsRequest request;
    request.set_parent("orgs/acme");
    request.set_validate_only(validate_only);
    for (int i = first; i < first + count; ++i) {
      request.add_entries()->set_credential_id(absl::StrCat("C", i));
      request.mutable_entries(i - first)->set_value("v");
    }
    return world_.credentials->ImportCredentials(root, request).status();
  };
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(import(i * 1000, 1000).ok());
  ASSERT_TRUE(import(9000, 995).ok());
  const auto before = world_.Revision();
  for (const bool validate_only : {false, true}) {
    const absl::Status full = import(10000, 6, validate_only);
    EXPECT_EQ(DetailOf(full).reason(), "TOO_MANY") << full;
  }
  EXPECT_EQ(world_.Revision(), before);
  EXPECT_TRUE(import(10000, 5, /*validate_only=*/true).ok());
  EXPECT_TRUE(import(10000, 5).ok()) << "what was refused or only validated took no place";
  EXPECT_FALSE(import(20000, 1).ok());
}

TEST_P(BatchesTest, NamesThatHijackAProcessNeedTheOrganizationsPermissionForEveryNewValue) {
  const Caller root = world_.As("root");
  const std::string name = "orgs/acme/credentials/NODE_OPTIONS";
  const auto create = [&] {
    v1::CreateCredentialRequest request;
    request.set_parent("orgs/acme");
    request.set_credential_id("NODE_OPTIONS");
    request.set_value("v");
    return world_.credentials->CreateCredential(root, request).status();
  };
  EXPECT_EQ(DetailOf(create()).field(), "credential_id");
  world_.AllowNames({"PATH"});
  EXPECT_EQ(DetailOf(create()).field(), "credential_id");
  world_.AllowNames({"NODE_OPTIONS"});
  EXPECT_TRUE(create().ok());
  EXPECT_TRUE(Rotate(root, {{name, "w"}}).ok());
  EXPECT_EQ(Told(world_.credentials->ImportCredentials(root, Import({"NODE_OPTIONS=x"}, v1::IMPORT_CONFLICT_ROTATE))),
            "ROTATE 3");

  world_.AllowNames({});
  const auto before = world_.Revision();
  v1::RotateCredentialRequest rotate;
  rotate.set_name(name);
  rotate.set_value("y");
  v1::RollbackCredentialRequest rollback;
  rollback.set_name(name);
  EXPECT_EQ(DetailOf(world_.credentials->RotateCredential(root, rotate).status()).field(), "name");
  EXPECT_EQ(DetailOf(world_.credentials->RollbackCredential(root, rollback).status()).field(), "name");
  EXPECT_EQ(DetailOf(Rotate(root, {{name, "y"}}).status()).field(), "requests[0].name");
  EXPECT_EQ(
      DetailOf(
          world_.credentials->ImportCredentials(root, Import({"NODE_OPTIONS=x"}, v1::IMPORT_CONFLICT_SKIP)).status())
          .field(),
      "entries[0].credential_id");
  EXPECT_EQ(world_.Revision(), before);
  // It is still seen and can be deleted.
  EXPECT_EQ(world_.Get(root, name)->version(), 3);
  v1::DeleteCredentialRequest gone;
  gone.set_name(name);
  EXPECT_TRUE(world_.credentials->DeleteCredential(root, gone).ok());
}

TEST_P(BatchesTest, OfTwoEditsWithOneEtagOneIsAborted) {
  const Caller root = world_.As("root");
  const std::string name = "orgs/acme/credentials/A";
  world_.Create(root, "orgs/acme", "A", "1");
  const std::vector<std::function<absl::Status(const std::string&)>> edits = {
      [&](const std::string& etag) {
        v1::UpdateCredentialRequest request;
        request.mutable_credential()->set_name(name);
        request.mutable_credential()->set_description("d");
        request.mutable_credential()->set_etag(etag);
        return world_.credentials->UpdateCredential(root, request).status();
      },
      [&](const std::string& etag) {
        v1::RotateCredentialRequest request;
        request.set_name(name);
        request.set_value("2");
        request.set_etag(etag);
        return world_.credentials->RotateCredential(root, request).status();
      },
      [&](const std::string& etag) {
        return Rotate(root, {{name, "3", etag}}).status();
      },
      [&](const std::string& etag) {
        v1::RollbackCredentialRequest request;
        request.set_name(name);
        request.set_etag(etag);
        return world_.credentials->RollbackCredential(root, request).status();
      },
      [&](const std::string& etag) {
        v1::DeleteCredentialRequest request;
        request.set_name(name);
        request.set_etag(etag);
        return world_.credentials->DeleteCredential(root, request).status();
      }};
  // A deletion, the last, is tried as the second alone.
  for (size_t first = 0; first + 1 < edits.size(); ++first) {
    for (size_t second = 0; second < edits.size(); ++second) {
      ASSERT_TRUE(edits[1]("").ok()) << "so that there is a version to go back to";
      const std::string etag = world_.Get(root, name)->etag();
      EXPECT_TRUE(edits[first](etag).ok()) << first;
      const absl::Status late = edits[second](etag);
      EXPECT_TRUE(absl::IsAborted(late)) << first << " " << second << ": " << late;
      EXPECT_EQ(DetailOf(late).reason(), "STALE_ETAG");
    }
  }
}

// The clock is read while an import is under way, so that others can be begun within it.
TEST_P(BatchesTest, ImportsThatMayHoldTooManyValuesAtOnceAreRefusedWithADelay) {
  std::unique_ptr<CredentialRules> rules;
  std::vector<std::string> told;
  int begun = 0;
  const auto import = [&](v1::ImportConflict conflict) {
    v1::ImportCredentialsRequest request = Import({}, conflict);
    for (int i = 0; i < 1000; ++i) {
      request.add_entries()->set_credential_id(absl::StrCat("C", begun, "_", i));
      request.mutable_entries(i)->set_value("v");
    }
    const absl::Status status = rules->ImportCredentials(world_.As("root"), request).status();
    told.push_back(status.ok() ? "OK" : DetailOf(status).reason());
    EXPECT_EQ(DetailOf(status).retry_delay_ms(), status.ok() ? 0 : 1000);
  };
  const Clock clock = [&] {
    // Two of the largest fit; the third does not, unless it keeps nothing for rollback.
    if (begun < 3) import(++begun < 3 ? v1::IMPORT_CONFLICT_ROTATE : v1::IMPORT_CONFLICT_SKIP);
    return world_.now;
  };
  rules = std::make_unique<CredentialRules>(world_.store.get(), clock, &world_.pages, world_.usage.get());
  import(v1::IMPORT_CONFLICT_ROTATE);
  EXPECT_EQ(told, (std::vector<std::string>{"SERVER_BUSY", "OK", "OK", "OK"}));
  begun = 4;
  import(v1::IMPORT_CONFLICT_ROTATE);
  EXPECT_EQ(told.back(), "OK") << "the places were given back";
}

}  // namespace
}  // namespace keyferry::server
