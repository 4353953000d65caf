#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSED_TOKENS_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSED_TOKENS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/jwt/jwk_set.h"

namespace keyferry::server {

// What is known of tokens that open nothing, so that showing one again costs no signature: that its signature holds
// under no key of a set, or what was read of one that holds (`Verified`) and to which nothing was granted. Each token
// has one place, by its hash, and takes it over: memory is fixed, and whoever fills it drives out nothing but others
// that were refused. What is known counts for kTime. Thread-safe.
template <typename Verified>
class RefusedTokens {
 public:
  static constexpr absl::Duration kTime = absl::Minutes(1);

  struct Known {
    // Under this very set the signature does not hold.
    std::weak_ptr<const JwkSet> keys;
    std::shared_ptr<Verified> verified;
  };

  explicit RefusedTokens(size_t places = 4096) : size_(places), places_(places) {}

  // `hash` is a SHA-256.
  void Put(const std::string& hash, Known known, absl::Time now) {
    // Whatever was there is destroyed without the lock.
    Place place{hash, now, std::move(known)};
    absl::MutexLock lock(&mutex_);
    std::swap(places_[IndexOf(hash)], place);
  }

  // Nothing known: both are null.
  Known Find(const std::string& hash, absl::Time now) const {
    absl::ReaderMutexLock lock(&mutex_);
    const Place& place = places_[IndexOf(hash)];
    // A clock that was set back makes nothing young again.
    if (place.hash != hash || now < place.time || now >= place.time + kTime) return Known();
    return place.known;
  }

  void Clear() {
    std::vector<Place> old(size_);
    absl::MutexLock lock(&mutex_);
    old.swap(places_);
  }

 private:
  struct Place {
    std::string hash;
    absl::Time time;
    Known known;
  };

  size_t IndexOf(const std::string& hash) const {
    uint64_t number = 0;
    std::memcpy(&number, hash.data(), std::min(sizeof(number), hash.size()));
    return number % size_;
  }

  const size_t size_;
  mutable absl::Mutex mutex_;
  std::vector<Place> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSED_TOKENS_H_
