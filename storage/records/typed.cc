#include "storage/records/typed.h"

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/reflection.h"

namespace keyferry::storage {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The reference that protobuf hands out is to the string that the message owns, so overwriting it in place is what
// leaves no copy behind. `scratch` is where protobuf would put a copy for string types that it does not use here.
void WipeInPlace(const std::string& owned) { WipeMemory(const_cast<char*>(owned.data()), owned.size()); }

void WipeField(Message& message, const Reflection& reflection, const FieldDescriptor* field) {
  std::string scratch;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    if (!field->is_repeated()) {
      WipeInPlace(reflection.GetStringReference(message, field, &scratch));
    } else {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        WipeInPlace(reflection.GetRepeatedStringReference(message, field, i, &scratch));
      }
    }
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
    if (!field->is_repeated()) {
      WipeMessage(*reflection.MutableMessage(&message, field));
    } else {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        WipeMessage(*reflection.MutableRepeatedMessage(&message, field, i));
      }
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
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  for (const FieldDescriptor* field : set) WipeField(message, reflection, field);
  message.Clear();
}

}  // namespace keyferry::storage
