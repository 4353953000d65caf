#include "server/rpc/reloadable_certificate.h"

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "src/core/lib/gpr/useful.h"
#include "src/core/lib/iomgr/exec_ctx.h"
#include "src/core/lib/security/credentials/tls/grpc_tls_certificate_provider.h"

namespace keyferry::server {

class ReloadableCertificate::Provider : public grpc_tls_certificate_provider {
 public:
  explicit Provider(const LoadedCertificate& certificate)
      : distributor_(grpc_core::MakeRefCounted<grpc_tls_certificate_distributor>()) {
    {
      absl::MutexLock lock(&mutex_);
      Keep(certificate);
    }
    // The distributor forgets what nobody asks for, and says so.
    distributor_->SetWatchStatusCallback([this](std::string name, bool root, bool identity) {
      absl::MutexLock lock(&mutex_);
      watched_ = root || identity;
      if (watched_) Give(name);
    });
  }
  ~Provider() override { distributor_->SetWatchStatusCallback(nullptr); }

  void Set(const LoadedCertificate& certificate) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    Keep(certificate);
    if (watched_) Give(/*name=*/"");
  }

  grpc_core::RefCountedPtr<grpc_tls_certificate_distributor> distributor() const override { return distributor_; }
  grpc_core::UniqueTypeName type() const override {
    static grpc_core::UniqueTypeName::Factory factory("KeyferryReloadable");
    return factory.Create();
  }

 private:
  int CompareImpl(const grpc_tls_certificate_provider* other) const override {
    return grpc_core::QsortCompare(static_cast<const grpc_tls_certificate_provider*>(this), other);
  }

  void Keep(const LoadedCertificate& certificate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    key_ = certificate.key.Clone();
    certificate_ = certificate.certificate;
    client_ca_ = certificate.client_ca;
  }
  void Give(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    grpc_core::ExecCtx exec_ctx;
    absl::optional<std::string> client_ca;
    if (!client_ca_.empty()) client_ca = client_ca_;
    grpc_core::PemKeyCertPairList pairs = {grpc_core::PemKeyCertPair(std::string(key_.Expose()), certificate_)};
    distributor_->SetKeyMaterials(name, std::move(client_ca), std::move(pairs));
  }

  const grpc_core::RefCountedPtr<grpc_tls_certificate_distributor> distributor_;
  absl::Mutex mutex_;
  bool watched_ ABSL_GUARDED_BY(mutex_) = false;
  storage::SecretBytes key_ ABSL_GUARDED_BY(mutex_);
  std::string certificate_ ABSL_GUARDED_BY(mutex_);
  std::string client_ca_ ABSL_GUARDED_BY(mutex_);
};

ReloadableCertificate::ReloadableCertificate(const LoadedCertificate& certificate)
    : provider_(new Provider(certificate)) {}

ReloadableCertificate::~ReloadableCertificate() { provider_->Unref(); }

void ReloadableCertificate::Set(const LoadedCertificate& certificate) { provider_->Set(certificate); }

grpc_tls_certificate_provider* ReloadableCertificate::c_provider() { return provider_; }

}  // namespace keyferry::server
