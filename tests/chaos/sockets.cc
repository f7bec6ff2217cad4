#include "sockets.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

#include <fmt/format.h>

#include "support/notify.h"

namespace hearth::chaos {
namespace {

constexpr const char* kUnix = "unix:";
constexpr const char* kListens = "0A";       // TCP_LISTEN
constexpr unsigned long kAccepts = 0x10000;  // __SO_ACCEPTCON

bool is_unix(const std::string& address) {
  return address.starts_with(kUnix);
}
std::string path_of(const std::string& address) {
  return address.substr(5);
}

sockaddr_in tcp_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  inet_pton(AF_INET, address.substr(4, colon - 4).c_str(), &in.sin_addr);
  return in;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Num RefCount Protocol Flags Type St Inode Path
std::uint64_t unix_inode(const std::string& path) {
  std::ifstream in("/proc/net/unix");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() == 8 && words[7] == path && (std::strtoul(words[3].c_str(), nullptr, 16) & kAccepts) != 0)
      return std::strtoull(words[6].c_str(), nullptr, 10);
  }
  return 0;
}

// sl local_address rem_address st ... inode, which is the tenth; addresses as the machine has them in memory, in hex.
std::uint64_t tcp_inode(const sockaddr_in& address) {
  const std::string local = fmt::format("{:08X}:{:04X}", address.sin_addr.s_addr, ntohs(address.sin_port));
  std::ifstream in("/proc/net/tcp");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() > 9 && words[1] == local && words[3] == kListens)
      return std::strtoull(words[9].c_str(), nullptr, 10);
  }
  return 0;
}

}  // namespace

Call::Call(const std::string& address)
    : fd_(socket(is_unix(address) ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  socklen_t length = sizeof(sockaddr_in);
  const sockaddr_in tcp = is_unix(address) ? sockaddr_in{} : tcp_address(address);
  const sockaddr_un local = is_unix(address) ? support::address_of(path_of(address), false, length) : sockaddr_un{};
  const auto* to =
      is_unix(address) ? reinterpret_cast<const sockaddr*>(&local) : reinterpret_cast<const sockaddr*>(&tcp);
  if (connect(fd_.get(), to, length) < 0 && errno != EAGAIN && errno != EINPROGRESS) error = errno;
}

std::string Call::heard() {
  char bytes[256];
  for (ssize_t n = 0; (n = recv(fd_.get(), bytes, sizeof bytes, 0)) > 0;)
    text_.append(bytes, static_cast<std::size_t>(n));
  return text_;
}

std::uint64_t listening_inode(const std::string& address) {
  return is_unix(address) ? unix_inode(path_of(address)) : tcp_inode(tcp_address(address));
}

}  // namespace hearth::chaos
