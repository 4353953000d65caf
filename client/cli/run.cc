#include "client/cli/run.h"

#include "client/cli/command_line.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/outcome.h"
#include "client/cli/printer.h"

namespace keyferry::client::cli {
namespace {

OutputFormat Format(const Arguments& globals) {
  const std::string& text = globals.Text("--output");
  if (text == "json") return OutputFormat::kJson;
  return text == "yaml" ? OutputFormat::kYaml : OutputFormat::kTable;
}

Outcome RunParsed(const CommandTree& tree, const ParsedLine& parsed, const Streams& streams) {
  const Printer printer(Format(parsed.globals), streams.output_is_terminal, streams.now(), *streams.output);
  Context context(tree, streams, parsed.globals, printer);
  KEYFERRY_RETURN_IF_FAILED(parsed.command->run(context, parsed.arguments));
  if (!streams.output->flush()) {
    return Failure{ExitCode::kOther, "the answer could not be written: standard output; check where it goes"};
  }
  return std::nullopt;
}

}  // namespace

int Run(const std::vector<std::string>& arguments, const Streams& streams) {
  const CommandTree tree = AllCommands();
  ParsedLine parsed;
  Outcome outcome = ParseLine(tree, arguments, &parsed);
  if (!outcome.has_value() && !parsed.help.empty()) {
    *streams.output << parsed.help << std::flush;
    return 0;
  }
  if (!outcome.has_value()) outcome = RunParsed(tree, parsed, streams);
  if (!outcome.has_value()) return 0;
  *streams.error << "keyferry: " << outcome->line << std::endl;
  return static_cast<int>(outcome->exit_code);
}

}  // namespace keyferry::client::cli
