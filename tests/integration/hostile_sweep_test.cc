// Every field of every request, one at a time, filled with hostile contents: never a crash, an inner error or a leak.
#include <functional>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Strings and bytes. Those that are not UTF-8 are sent as they are, whatever the field's type.
const std::vector<std::string>& HostileTexts() {
  static const auto* texts = new std::vector<std::string>{
      "",
      " ",
      std::string(1, '\0'),
      std::string("a\0b", 3),
      std::string(64, 'a'),
      std::string(513, 'a'),
      std::string(5000, '/'),
      std::string(70000, 'A'),
      "..",
      "../../../etc/passwd",
      "orgs/acme/users/../../../rival",
      "orgs//credentials/",
      "orgs/rival/credentials/RIVAL_KEY",
      "orgs/acme/teams/eng/credentials/ABSENT",
      "*",
      "%s%s%s%n%x",
      "%00",
      "{value}{value}",
      "$(touch /tmp/x) `id` ; | & < >",
      "' OR 1=1; --",
      "<script>alert(1)</script>",
      "{\"$ref\": \"#\"}",
      "\r\nauthorization: Bearer x",
      "a\nb\tc",
      "\x1b[2J\x07",
      "\x7f\x01\x02",
      "\xc2\x85",
      "\xe2\x80\xae\xd8\xa7",
      "\xf0\x9f\x94\x91",
      "\xef\xbb\xbfname",
      "\xff\xfe",
      "\xc3\x28",
      "\xed\xa0\x80",
      "LD_PRELOAD",
      "-1",
      "18446744073709551616",
  };
  return *texts;
}

// Calls `visit` with each hostile setting of one element of the field; `set` writes text, or a number.
void ForEachContent(const FieldDescriptor& field, const std::function<void(const std::string&)>& text,
                    const std::function<void(int64_t)>& number) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      for (const std::string& one : HostileTexts()) text(one);
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      for (const int64_t one : {0, 1}) number(one);
      break;
    default:
      for (const int64_t one :
           {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{99}, int64_t{1001}, int64_t{999999999}, int64_t{1000000000},
            int64_t{std::numeric_limits<int32_t>::max()}, int64_t{std::numeric_limits<int32_t>::min()},
            std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
        number(one);
      }
  }
}

void SetNumber(Message* message, const FieldDescriptor* field, int64_t number) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, number != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, field, static_cast<int>(number));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, static_cast<int32_t>(number));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, number);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, static_cast<double>(number));
    default:
      FAIL() << "a field of a type that this sweep does not know: " << field->full_name();
  }
}

// An element of a repeated field.
void AddNumber(Message* message, const FieldDescriptor* field, int64_t number) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->AddEnumValue(message, field, static_cast<int>(number));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->AddInt32(message, field, static_cast<int32_t>(number));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->AddInt64(message, field, number);
    default:
      FAIL() << "a field of a type that this sweep does not know: " << field->full_name();
  }
}

class Sweep {
 public:
  Sweep(World* world, const MethodEntry& entry, Who who) : world_(world), entry_(entry), who_(who) {}

  // Sends the good request with each field of it, at any depth, changed alone.
  void Run() {
    const std::unique_ptr<Message> request = MakeRequest(entry_.method, world_->Fill(entry_.good));
    Visit(request.get(), request.get(), "");
  }
  int sent() const { return sent_; }

 private:
  void Visit(Message* root, Message* message, const std::string& path) {
    const Reflection* reflection = message->GetReflection();
    for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message->GetDescriptor()->field(i);
      const std::string name = absl::StrCat(path, field->name());
      if (field->is_repeated()) {
        VisitRepeated(root, message, field, name);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const bool had = reflection->HasField(*message, field);
        Message* child = reflection->MutableMessage(message, field);
        Send(*root, name + " present");
        Visit(root, child, name + ".");
        if (!had) reflection->ClearField(message, field);
      } else {
        VisitScalar(root, message, field, name);
      }
    }
  }

  void VisitScalar(Message* root, Message* message, const FieldDescriptor* field, const std::string& name) {
    const std::unique_ptr<Message> saved(message->New());
    saved->CopyFrom(*message);
    ForEachContent(
        *field,
        [&](const std::string& text) {
          message->GetReflection()->SetString(message, field, text);
          Send(*root, absl::StrCat(name, " of ", text.size(), " bytes"));
        },
        [&](int64_t number) {
          SetNumber(message, field, number);
          Send(*root, absl::StrCat(name, " = ", number));
        });
    message->CopyFrom(*saved);
  }

  void VisitRepeated(Message* root, Message* message, const FieldDescriptor* field, const std::string& name) {
    const Reflection* reflection = message->GetReflection();
    const std::unique_ptr<Message> saved(message->New());
    saved->CopyFrom(*message);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* element = reflection->AddMessage(message, field);
      Send(*root, name + ": an empty element");
      Visit(root, element, name + "[].");
    } else {
      ForEachContent(
          *field,
          [&](const std::string& text) {
            reflection->ClearField(message, field);
            reflection->AddString(message, field, text);
            Send(*root, absl::StrCat(name, " with an element of ", text.size(), " bytes"));
            reflection->AddString(message, field, text);
            Send(*root, absl::StrCat(name, " with two elements of ", text.size(), " bytes"));
          },
          [&](int64_t number) {
            reflection->ClearField(message, field);
            AddNumber(message, field, number);
            Send(*root, absl::StrCat(name, " with an element = ", number));
            AddNumber(message, field, number);
            Send(*root, absl::StrCat(name, " with two elements = ", number));
          });
    }
    for (const int count : {2, 257, 5000}) {
      message->CopyFrom(*saved);
      for (int i = 0; i < count; ++i) {
        if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          reflection->AddMessage(message, field);
        } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
          reflection->AddString(message, field, "");
        } else {
          AddNumber(message, field, 0);
        }
      }
      Send(*root, absl::StrCat(name, " with ", count, " elements"));
    }
    message->CopyFrom(*saved);
  }

  void Send(const Message& request, const std::string& label) {
    ++sent_;
    const std::string bytes = request.SerializeAsString();
    if (bytes == good_bytes()) return;
    std::string response;
    const grpc::Status status = world_->CallBytes({world_->Bearer(who_)}, entry_.method, bytes, &response);
    if (!status.ok()) {
      EXPECT_EQ(world_->WhatIsWrong(status), "") << entry_.method << ": " << label;
      return;
    }
    // The only ways out for a value.
    const bool may_show = GivesValuesOut(entry_.method);
    EXPECT_FALSE(!may_show && absl::StrContains(response, World::kMarker)) << entry_.method << ": " << label;
    // Some contents are fine; what they changed is put back as far as the method can.
    world_->Call(who_, entry_.method, entry_.good);
  }

  std::string good_bytes() { return MakeRequest(entry_.method, world_->Fill(entry_.good))->SerializeAsString(); }

  World* const world_;
  const MethodEntry& entry_;
  const Who who_;
  int sent_ = 0;
};

TEST(HostileSweepTest, EveryFieldOfEveryRequest) {
  World world;
  int sent = 0;
  for (const MethodEntry& entry : AllEntries()) {
    world.LearnWords();
    Sweep sweep(&world, entry, entry.who);
    sweep.Run();
    if (!entry.good.empty()) {
      EXPECT_GE(sweep.sent(), static_cast<int>(HostileTexts().size())) << entry.method;
    }
    EXPECT_TRUE(world.CallBytes({}, "/grpc.health.v1.Health/Check", "").ok()) << "after " << entry.method;
    sent += sweep.sent();
  }
  EXPECT_GE(sent, 3000);
  RecordProperty("requests", sent);
  // Everything is still there to be read, by everybody who may.
  for (const auto& [call, answer] : world.TakeDigest()) EXPECT_EQ(answer.substr(0, 2), "0 ") << call;
}

// Whatever they send, callers without a right to change anything do not.
TEST(HostileSweepTest, CallersWithoutRightsChangeNothing) {
  World world;
  const Digest before = world.TakeDigest();
  for (const Who who : {Who::kRival, Who::kWorkload, Who::kOtherTeam}) {
    for (const MethodEntry& entry : AllEntries()) {
      // The workload may resolve, which is a use and is recorded as one.
      if (GivesValuesOut(entry.method) && who != Who::kRival) continue;
      Sweep(&world, entry, who).Run();
    }
    const Digest after = world.TakeDigest();
    for (const auto& [call, answer] : before) {
      if (!absl::StrContains(call, "orgs/acme")) continue;
      EXPECT_TRUE(after.at(call) == answer) << NameOf(who) << ": " << call;
    }
  }
}

// One serialized request with a bit flipped or its end cut off.
void ExpectWellFormed(World* world, const MethodEntry& entry, const std::string& bytes, const std::string& label) {
  const grpc::Status status = world->CallBytes({world->Bearer(entry.who)}, entry.method, bytes);
  if (!status.ok()) {
    EXPECT_EQ(world->WhatIsWrong(status), "") << entry.method << ": " << label;
  }
}

TEST(HostileSweepTest, EveryBitAndEveryLengthOfEveryGoodRequest) {
  World world;
  for (const MethodEntry& entry : AllEntries()) {
    // What a flipped bit may still delete or create must not change what the others mean.
    world.LearnWords();
    const std::string good = MakeRequest(entry.method, world.Fill(entry.good))->SerializeAsString();
    for (size_t size = 0; size < good.size(); ++size) {
      ExpectWellFormed(&world, entry, good.substr(0, size), absl::StrCat("cut to ", size, " bytes"));
    }
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string flipped = good;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      ExpectWellFormed(&world, entry, flipped, absl::StrCat("bit ", bit));
    }
  }
  // One of the bits is another tier.
  world.MustCall(Who::kAdmin, "DirectoryService.UpdateOrg", "org { name: 'orgs/acme' tier: TIER_BUSINESS }");
  for (const auto& [call, answer] : world.TakeDigest()) EXPECT_EQ(answer.substr(0, 2), "0 ") << call;
}

}  // namespace
}  // namespace keyferry::testing
