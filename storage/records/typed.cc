#include "storage/records/typed.h"

#include <string>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/reflection.h"

namespace keyferry::storage {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The reference that protobuf hands out is to the string that the message owns, so overwriting it in place is what
// leaves no copy behind. `scratch` is where protobuf would put a copy for string types that it does not use here.
void WipeInPlace(const std::string& owned) { WipeMemory(const_cast<char*>(owned.data()), owned.size()); }

// The fields of a message type that can hold text. Wiping is part of every call that gives out values, and listing the
// fields that are set by reflection takes longer than overwriting them.
struct TextFields {
  explicit TextFields(const Descriptor& type) {
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* const field = type.field(i);
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) strings.push_back(field);
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) messages.push_back(field);
    }
  }

  std::vector<const FieldDescriptor*> strings;
  std::vector<const FieldDescriptor*> messages;
};

const TextFields& TextFieldsOf(const Descriptor* type) {
  thread_local absl::node_hash_map<const Descriptor*, TextFields> known;
  const auto found = known.find(type);
  return found != known.end() ? found->second : known.try_emplace(type, *type).first->second;
}

void WipeText(Message& message, const Reflection& reflection, const FieldDescriptor* field) {
  std::string scratch;
  if (!field->is_repeated()) {
    // What is not set may be a default that every message of the type shares.
    if (field->has_presence() && !reflection.HasField(message, field)) return;
    WipeInPlace(reflection.GetStringReference(message, field, &scratch));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    WipeInPlace(reflection.GetRepeatedStringReference(message, field, i, &scratch));
  }
}

// Leaves the fields set: the outermost message is cleared as a whole.
void WipeTexts(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const TextFields& fields = TextFieldsOf(message.GetDescriptor());
  for (const FieldDescriptor* field : fields.strings) WipeText(message, reflection, field);
  for (const FieldDescriptor* field : fields.messages) {
    if (!field->is_repeated()) {
      if (reflection.HasField(message, field)) WipeTexts(*reflection.MutableMessage(&message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      WipeTexts(*reflection.MutableRepeatedMessage(&message, field, i));
    }
  }
}

}  // namespace

SecretBytes SerializeSecret(const google::protobuf::MessageLite& message) {
  SecretBytes out(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(out.ExposeMutable().data());
  return out;
}

absl::Status ParseSecretInto(const SecretBytes& bytes, Message& message) {
  const absl::string_view view = bytes.Expose();
  if (message.ParseFromArray(view.data(), static_cast<int>(view.size()))) return absl::OkStatus();
  WipeMessage(message);
  return absl::DataLossError("a record's payload is not a message of its table's type");
}

void WipeMessage(Message& message) {
  WipeTexts(message);
  message.Clear();
}

}  // namespace keyferry::storage
