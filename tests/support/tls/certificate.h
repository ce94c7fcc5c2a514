// SPDX-License-Identifier: Apache-2.0
//
// Certificates of a test's own authority: good ones, and such as nobody should believe.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace s3overlay::testing {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using TlsContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// What a certificate says; times are seconds from now.
struct CertificateTerms {
  std::string subject = "IP:127.0.0.1";  // As subjectAltName has it.
  long valid_from = -3600;
  long valid_to = 3600;
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(std::string name = "authority of a test");

  // Its own certificate as PEM: a file for --ca-bundle.
  void Write(const std::string& path) const;

  // A server's side of TLS, with a key and a certificate that this authority has signed.
  TlsContextPtr MakeServer(const CertificateTerms& terms = {}) const;

 private:
  CertificatePtr Sign(EVP_PKEY* key, const std::string& name, const char* extension, const std::string& value,
                      const CertificateTerms& terms) const;

  const std::string name_;
  const KeyPtr key_;
  const CertificatePtr certificate_;
};

}  // namespace s3overlay::testing
