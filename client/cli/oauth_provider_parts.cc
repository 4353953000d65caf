#include "client/cli/oauth_provider_parts.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/oauth_provider_input.h"
#include "google/protobuf/timestamp.pb.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"

namespace keyferry::client::cli {

void PrintOauthProvider(const Context& context, const v1::OauthProvider& provider) {
  const Printer& printer = context.printer();
  if (printer.format() != OutputFormat::kTable) return printer.Message(provider);
  v1::OauthProvider head = provider;
  std::vector<std::pair<std::string, const google::protobuf::Message*>> parts;
  const google::protobuf::Reflection& reflection = *provider.GetReflection();
  for (int i = 0; i < provider.GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = provider.GetDescriptor()->field(i);
    if (field->message_type() == nullptr || field->is_repeated() || !reflection.HasField(provider, field)) continue;
    if (field->message_type() == google::protobuf::Timestamp::descriptor()) continue;
    parts.emplace_back(field->name(), &reflection.GetMessage(provider, field));
    reflection.ClearField(&head, field);
  }
  printer.Message(head);
  for (const auto& [name, message] : parts) {
    printer.Raw(absl::StrCat("\n", name, "\n"));
    printer.Message(*message);
  }
}

void NoteKeySet(const Context& context, const v1::OauthProvider& provider) {
  if (provider.client().jwks().empty()) return;
  *context.streams().error << "keyferry: note: register this key set at the provider: "
                           << PrintableText(provider.client().jwks()) << "\n";
}

void NoteRegistration(const Context& context, const v1::OauthProvider& provider) {
  std::ostream& error = *context.streams().error;
  // Other grants have no browser that comes back.
  const bool redirects = provider.grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED ||
                         provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
  if (redirects && !provider.callback_url().empty()) {
    error << "keyferry: note: register this redirect URI at the provider: " << PrintableText(provider.callback_url())
          << "\n";
  }
  NoteKeySet(context, provider);
}

void NoteUnusedSecret(const Context& context, const v1::OauthProvider& provider) {
  if (UsesClientSecret(provider.client())) return;
  *context.streams().error << "keyferry: note: the client secret is stored but never sent, as the client authenticates "
                              "in another way or not at all; set `client.authentication` in the definition "
                              "(`keyferry oauth-provider update ID --file FILE`) if it should be\n";
}

Outcome OauthProviderName(Context& context, const Arguments& arguments, std::string* name) {
  return context.ResourceName("oauthProviders", arguments.Text("ID"), name);
}

Outcome GetOauthProvider(Context& context, const std::string& name, v1::OauthProvider* provider) {
  v1::GetOauthProviderRequest request;
  request.set_name(name);
  return context.Call(Idempotent::kYes, &v1::OauthProviderService::Stub::GetOauthProvider, request, provider);
}

}  // namespace keyferry::client::cli
