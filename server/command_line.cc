#include "server/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <map>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/names.h"
#include "server/status_macros.h"
#include "server/version.h"

namespace keyferry::server {
namespace {

constexpr char kFooter[] =
    "Every configuration flag is also a key of the YAML file and an environment variable: --tls-cert-file is\n"
    "`tls: {cert_file: ...}` and KEYFERRYD_TLS_CERT_FILE. A flag wins over the environment, that over the file.\n"
    "\n"
    "Signals: SIGTERM and SIGINT drain and stop; SIGHUP reads the configuration (log level, key providers,\n"
    "call rates) and certificates again and opens the file of the audit stream again.\n"
    "Exit codes: 0 stopped as asked, 1 could not start or failed, 2 wrong command line.\n";

int Fail(absl::string_view message, int code) {
  std::cerr << "keyferryd: " << message << "\n";
  return code;
}

// The options as CLI11 fills them in.
struct Options {
  bool dev = false;
  std::string config_file;
  std::map<std::string, std::string> keys;
  std::string org;
  std::string audit_org;
  std::string admin;
  std::string tier = "business";
  std::string token_file;
  std::string token_lifetime = "8760h";
  bool once = false;
  bool new_token = false;
  std::string backup_to;
  std::string backup_from;
  std::string restore_to;
  std::string tokens;
  bool check_only = false;
};

struct Commands {
  CLI::App* serve;
  CLI::App* init;
  CLI::App* verify;
  CLI::App* audit;
  CLI::App* rotate_kek;
  CLI::App* backup;
  CLI::App* verify_backup;
  CLI::App* restore;
};

void AddBackupCommands(CLI::App* app, Options* options, Commands* commands) {
  commands->backup = app->add_subcommand(
      "backup", "Make a backup with the server stopped; while it runs, use `keyferry backup create`");
  commands->backup->add_option("--to", options->backup_to,
                               "Directory that holds the backups (default: backup.directory)");
  commands->verify_backup =
      app->add_subcommand("verify-backup", "Check with the KEK that a backup is whole and unchanged");
  commands->verify_backup->add_option("--from", options->backup_from, "The backup's own directory")->required();
  commands->restore = app->add_subcommand(
      "restore",
      "Check a backup, put it into a new data directory, and open every record of it; what was deleted or revoked "
      "since it was made is back");
  commands->restore->add_option("--from", options->backup_from, "The backup's own directory")->required();
  commands->restore->add_option("--to", options->restore_to,
                                "The data directory to make (default: data_dir); must be empty or not exist");
  commands->restore
      ->add_option("--tokens", options->tokens,
                   "revoke: every token and session, since the backup may hold some that were revoked later; keep: "
                   "list them. One must be chosen, except with --check")
      ->check(CLI::IsMember({"revoke", "keep"}));
  commands->restore->add_flag("--check", options->check_only, "Do everything but the last step: restore nothing");
}

Commands AddOptions(CLI::App* app, Options* options) {
  app->set_help_all_flag("--help-all", "Show the help of every command");
  app->set_version_flag("--version", std::string("keyferryd ") + kServerVersion);
  app->require_subcommand(0, 1);
  app->fallthrough();
  app->footer(kFooter);
  app->add_flag("--dev", options->dev,
                "Serve for development: makes keys, certificates, the org `dev` and an admin token in --data-dir");
  app->add_option("--config", options->config_file, "YAML configuration file")->envname("KEYFERRYD_CONFIG");
  for (const ConfigKey& key : ConfigKeys()) {
    app->add_option(key.flag, options->keys[key.path], key.help)->envname(key.environment)->group("Configuration");
  }
  Commands commands;
  commands.serve = app->add_subcommand("serve", "Serve the API (the default)");
  commands.init = app->add_subcommand(
      "init",
      "Make the KEK file if missing, the store, an org and its ADMIN, and issue a token for them; also the way "
      "back in when every ADMIN's token is lost");
  commands.init->add_option("--org", options->org, "Id of the organization")->required();
  commands.init->add_option("--admin", options->admin, "Id of the user to be ADMIN")->required();
  commands.init->add_option("--tier", options->tier, "free, team, business (default) or enterprise; for a new org");
  commands.init->add_option("--token-file", options->token_file,
                            "Write the token to this file, mode 0600, instead of standard output");
  commands.init->add_option("--token-lifetime", options->token_lifetime,
                            "How long the token is valid, 1m to 8760h (default 8760h, a year)");
  commands.init->add_flag(
      "--once", options->once,
      "For a start that is repeated: do nothing if the store has an organization, and make no store "
      "while backup.directory holds backups");
  commands.init->add_flag("--new-token", options->new_token,
                          "With --once: make the user ADMIN and issue a token all the same; =false leaves it");
  commands.verify = app->add_subcommand("verify", "Open every record of the store and check it");
  commands.audit = app->add_subcommand(
      "audit",
      "Print an audit log as JSON lines, oldest first, with the server stopped: by default that of calls that "
      "were not authenticated");
  commands.audit->add_option("--org", options->audit_org, "Id of an organization");
  commands.rotate_kek = app->add_subcommand(
      "rotate-kek", "Rewrap the store from previous_key_provider to key_provider (made if it is a missing file)");
  AddBackupCommands(app, options, &commands);
  return commands;
}

absl::StatusOr<v1::Tier> ParseTier(const std::string& text) {
  const std::map<std::string, v1::Tier> tiers = {{"free", v1::TIER_FREE},
                                                 {"team", v1::TIER_TEAM},
                                                 {"business", v1::TIER_BUSINESS},
                                                 {"enterprise", v1::TIER_ENTERPRISE}};
  const auto found = tiers.find(text);
  if (found == tiers.end()) return absl::InvalidArgumentError("--tier must be free, team, business or enterprise");
  return found->second;
}

absl::StatusOr<absl::Duration> ParseTokenLifetime(const std::string& text) {
  absl::Duration lifetime;
  if (absl::ParseDuration(text, &lifetime) && lifetime >= absl::Minutes(1) && lifetime <= absl::Hours(24 * 365)) {
    return lifetime;
  }
  return absl::InvalidArgumentError("--token-lifetime takes a duration from 1m to 8760h, such as 12h");
}

absl::Status InterpretBackupCommands(const Options& options, const Commands& commands, CommandLine* line) {
  if (commands.backup->parsed()) {
    line->command = CommandLine::kBackup;
    line->backup = options.backup_to;
  }
  if (commands.verify_backup->parsed()) {
    line->command = CommandLine::kVerifyBackup;
    line->backup = options.backup_from;
  }
  if (!commands.restore->parsed()) return absl::OkStatus();
  line->command = CommandLine::kRestore;
  line->backup = options.backup_from;
  line->check_only = options.check_only;
  line->keep_tokens = options.tokens == "keep";
  if (!options.restore_to.empty()) line->overrides.emplace_back("data_dir", options.restore_to);
  if (!options.tokens.empty() || options.check_only) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "restore needs --tokens revoke or --tokens keep: the backup may hold tokens and sessions that were revoked "
      "since; "
      "revoke is the safe choice, and `keyferryd init` then issues an ADMIN's token");
}

absl::Status Interpret(const Options& options, const Commands& commands, CommandLine* line) {
  line->config_file = options.config_file;
  line->org = options.org;
  line->admin = options.admin;
  line->token_file = options.token_file;
  line->once = options.once;
  line->new_token = options.new_token;
  if (options.once && options.token_file.empty()) {
    return absl::InvalidArgumentError("--once needs --token-file: standard output would be a log");
  }
  if (options.new_token && !options.once) {
    return absl::InvalidArgumentError("--new-token goes with --once; without it a token is issued anyway");
  }
  ASSIGN_OR_RETURN(line->token_lifetime, ParseTokenLifetime(options.token_lifetime));
  ASSIGN_OR_RETURN(line->tier, ParseTier(options.tier));
  for (const ConfigKey& key : ConfigKeys()) {
    const std::string& text = options.keys.at(key.path);
    if (!text.empty()) line->overrides.emplace_back(key.path, text);
  }
  if (commands.init->parsed()) line->command = CommandLine::kInit;
  if (commands.verify->parsed()) line->command = CommandLine::kVerify;
  if (commands.audit->parsed()) {
    line->command = CommandLine::kAudit;
    line->org = options.audit_org;
  }
  if (commands.rotate_kek->parsed()) line->command = CommandLine::kRotateKek;
  RETURN_IF_ERROR(InterpretBackupCommands(options, commands, line));
  if (!options.dev) return absl::OkStatus();
  if (line->command != CommandLine::kServe)
    return absl::InvalidArgumentError("--dev only serves; leave the command out");
  if (!line->config_file.empty()) return absl::InvalidArgumentError("--dev takes no --config; use --data-dir");
  const auto names_directory = [](const auto& key) { return key.first == "data_dir" && !key.second.empty(); };
  if (!absl::c_any_of(line->overrides, names_directory)) {
    return absl::InvalidArgumentError("--dev needs --data-dir DIR");
  }
  line->command = CommandLine::kDev;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<config::Config> LoadConfig(const CommandLine& command_line) {
  config::Config config;
  if (!command_line.config_file.empty()) RETURN_IF_ERROR(ReadConfigFile(command_line.config_file, &config));
  for (const auto& [path, text] : command_line.overrides) {
    RETURN_IF_ERROR(SetConfigKey(path, text, absl::StrCat("`", path, "`"), &config));
  }
  if (command_line.command == CommandLine::kDev) {
    // Stands for what dev mode makes by itself, so that one check completes both.
    config.mutable_key_provider()->set_file(config.data_dir() + "/dev/kek");
    config.mutable_key_provider()->clear_passphrase_file();
  }
  RETURN_IF_ERROR(CompleteConfig(&config));
  return config;
}

absl::variant<CommandLine, int> ParseCommandLine(int argc, char** argv) {
  CLI::App app("keyferryd: keeps the credentials of MCP servers encrypted and resolves them for their launch",
               "keyferryd");
  Options options;
  const Commands commands = AddOptions(&app, &options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return 0;
    }
    return Fail(absl::StrCat(error.what(), " (see keyferryd --help)"), 2);
  }
  CommandLine line;
  const absl::Status interpreted = Interpret(options, commands, &line);
  if (!interpreted.ok()) return Fail(interpreted.message(), 2);
  if (line.command != CommandLine::kDev && line.config_file.empty() && line.overrides.empty()) {
    return Fail("nothing to serve: give --config FILE, or --dev --data-dir DIR (see keyferryd --help)", 2);
  }
  const auto config = LoadConfig(line);
  if (!config.ok()) return Fail(config.status().message(), 1);
  line.config = *config;
  return line;
}

}  // namespace keyferry::server
