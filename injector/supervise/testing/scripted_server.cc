// A stdio MCP server whose behaviour follows its environment, for tests of rotations.
//
//   GENERATION   what `tools/call` answers with, beside the process id
//   MODE         "": well-behaved; `hang`: never answers initialize; `refuse`: answers it with an error; `exit`: ends
//   at once
//                with code 3; `garbage`: prints lines that are not JSON before everything; `stubborn`: ignores the end
//                of its input and SIGTERM; `finish`: answers what it has before it ends with its input;
//                `flood`: asks without end, reads nothing and never answers
//
// Tools: `who`; `slow MS` answers after that time; `big BYTES`; `die CODE`; `ask` sends the client a request of its own
// (sampling) and answers with what that answered; `token` answers with TOKEN; `deaf` never reads again; `shout CODE`
// ends once nobody has taken any more of its standard error for a while.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

namespace {

std::string Get(const char* name) {
  const char* const value = getenv(name);
  return value == nullptr ? "" : value;
}

// The raw text of a top-level member of a message of the test's; "" if there is none.
std::string Member(const std::string& line, const std::string& name) {
  const size_t at = line.find("\"" + name + "\":");
  if (at == std::string::npos) return "";
  const size_t start = at + name.size() + 3;
  const bool quoted = line[start] == '"';
  const size_t end = quoted ? line.find('"', start + 1) + 1 : line.find_first_of(",}", start);
  return line.substr(start, end - start);
}

std::string Unquoted(const std::string& text) { return text.size() < 2 ? text : text.substr(1, text.size() - 2); }

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  for (size_t at = 0; at < whole.size();) {
    const ssize_t size = write(1, whole.data() + at, whole.size() - at);
    if (size < 0) _exit(9);
    at += static_cast<size_t>(size);
  }
}

void Answer(const std::string& id, const std::string& text) {
  Say("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" + text +
      "\"}]}}");
}

std::string Who() { return Get("GENERATION") + " " + std::to_string(getpid()); }

int64_t NowMs() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct Later {
  int64_t due;
  std::string id;
};

std::vector<Later> g_later;
std::string g_asking;

void Initialize(const std::string& id) {
  if (Get("MODE") == "hang") return;
  if (Get("MODE") == "refuse") {
    return Say("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"error\":{\"code\":-32000,\"message\":\"no\"}}");
  }
  Say("{\"jsonrpc\":\"2.0\",\"id\":" + id +
      ",\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{\"listChanged\":true}},"
      "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}}}");
}

void Shout() {
  fcntl(2, F_SETFL, O_NONBLOCK);
  const std::string noise(4096, '!');
  for (int waited = 0; waited < 30; ++waited) {
    while (write(2, noise.data(), noise.size()) > 0) waited = 0;
    usleep(10000);
  }
}

void Call(const std::string& id, const std::string& line) {
  const std::string tool = Unquoted(Member(line, "name"));
  const std::string argument = Unquoted(Member(line, "argument"));
  if (tool == "who") Answer(id, Who());
  if (tool == "slow") g_later.push_back({NowMs() + atoi(argument.c_str()), id});
  if (tool == "big") Answer(id, std::string(static_cast<size_t>(atoi(argument.c_str())), 'x'));
  if (tool == "die") _exit(atoi(argument.c_str()));
  if (tool == "deaf") {
    while (true) pause();
  }
  if (tool == "shout") {
    Shout();
    _exit(atoi(argument.c_str()));
  }
  if (tool == "token") Answer(id, Get("TOKEN"));
  if (tool == "ask") {
    g_asking = id;
    Say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{}}");
  }
}

[[noreturn]] void Flood() {
  while (true) Say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
}

void Receive(const std::string& line) {
  if (Get("MODE") == "garbage") Say("this is not JSON");
  const std::string method = Unquoted(Member(line, "method"));
  const std::string id = Member(line, "id");
  if (method == "initialize") return Initialize(id);
  if (method == "tools/call") return Call(id, line);
  if (method == "ping") return Say("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"result\":{}}");
  if (method.empty() && !g_asking.empty()) {
    Answer(g_asking, Who() + " got " + Unquoted(Member(line, "answer")));
    g_asking.clear();
  }
}

}  // namespace

int main() {
  if (Get("MODE") == "exit") return 3;
  if (Get("MODE") == "stubborn") signal(SIGTERM, SIG_IGN);
  if (Get("MODE") == "flood") Flood();
  fprintf(stderr, "server %s starts\n", Who().c_str());
  std::string buffer;
  while (true) {
    struct pollfd one = {0, POLLIN, 0};
    int64_t wait = -1;
    for (const Later& later : g_later) {
      const int64_t left = later.due > NowMs() ? later.due - NowMs() : 0;
      wait = wait < 0 || left < wait ? left : wait;
    }
    poll(&one, 1, static_cast<int>(wait));
    for (size_t i = 0; i < g_later.size();) {
      if (g_later[i].due <= NowMs()) {
        Answer(g_later[i].id, Who());
        g_later.erase(g_later.begin() + static_cast<long>(i));
      } else {
        ++i;
      }
    }
    if (one.revents == 0) continue;
    char piece[65536];
    const ssize_t size = read(0, piece, sizeof(piece));
    if (size <= 0) {
      for (const Later& later : g_later) {
        if (Get("MODE") != "finish") break;
        while (NowMs() < later.due) usleep(1000);
        Answer(later.id, Who());
      }
      break;
    }
    buffer.append(piece, static_cast<size_t>(size));
    for (size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
      Receive(buffer.substr(0, end));
    }
  }
  if (Get("MODE") == "stubborn") {
    while (true) pause();
  }
  return 5;
}
