#ifndef KEYFERRY_CLIENT_CLI_PRINTER_H_
#define KEYFERRY_CLIENT_CLI_PRINTER_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace google::protobuf {
class Message;
}

namespace keyferry::client::cli {

enum class OutputFormat { kJson, kYaml, kTable };

// A column of a list: a path of fields ("credential.update_time") and how its text is shortened.
struct Column {
  std::string header;
  std::string path;
  // Shows only the last segment of a resource name.
  bool last_segment = false;
};

// One fact of an answer that is not a message of the API.
struct Fact {
  // Key in JSON, e.g. "serverVersion".
  std::string key;
  // Label in the table, e.g. "Server version".
  std::string label;
  std::string text;
};

// Writes answers in one format. JSON and YAML are Protobuf's JSON mapping with every singular field present; lists are
// arrays. Tables have aligned columns, "-" for what is absent, enums without their prefix, messages within messages as
// JSON of the fields that are set, and times as RFC 3339 in UTC or, with `human_times`, as distances from now. Control
// characters in tables are replaced.
class Printer {
 public:
  Printer(OutputFormat format, bool human_times, absl::Time now, std::ostream& output)
      : format_(format), human_times_(human_times), now_(now), output_(output) {}

  OutputFormat format() const { return format_; }

  // One message; in a table, a line for each field that is set.
  void Message(const google::protobuf::Message& message) const;
  // One message of a row of them: JSON on one line, or a YAML document of its own.
  void Line(const google::protobuf::Message& message) const;
  void List(const std::vector<const google::protobuf::Message*>& messages, const std::vector<Column>& columns) const;
  void Facts(const std::vector<Fact>& facts) const;
  // What was done, as {"KEY": "NAME"} or as one sentence.
  void Done(const std::string& key, const std::string& name, const std::string& sentence) const;
  // A text that has no other format.
  void Raw(const std::string& text) const;

 private:
  std::string Cell(const google::protobuf::Message& message, const std::string& path, bool last_segment) const;
  std::string FieldText(const google::protobuf::Message& message, const std::string& field) const;
  void Rows(const std::vector<std::vector<std::string>>& rows) const;
  // Prints JSON text as it is or as YAML, and wipes it.
  void Structured(std::string json) const;

  const OutputFormat format_;
  const bool human_times_;
  const absl::Time now_;
  std::ostream& output_;
};

// Without anything that a terminal would act on.
std::string PrintableText(const std::string& text);

// "3 minutes ago", "in 23 hours", "now".
std::string HumanTime(absl::Time time, absl::Time now);

// Turns JSON text into YAML with the same content. Texts that YAML could read as something else are quoted.
std::string JsonToYaml(const std::string& json);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_PRINTER_H_
