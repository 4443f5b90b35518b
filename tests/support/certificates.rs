//! Certificates of a private authority, made for one test.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use std::{fs, path::Path};

/// An authority that clients can be told to believe.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        Self::named("An authority of tests")
    }

    /// A new one of this name.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are fine");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes its own certificate, `ca.pem`, and says where.
    pub fn write(&self, folder: &Path) -> String {
        let file = folder.join("ca.pem");
        fs::write(&file, &self.pem).expect("it can be written");
        file.display().to_string()
    }

    /// Writes `NAME.pem` and `NAME.key`, made for these hosts.
    pub fn issue(&self, folder: &Path, name: &str, hosts: &[&str]) {
        self.issue_until(folder, name, hosts, 2090);
    }

    /// The same, valid to the first day of a year.
    pub fn issue_until(&self, folder: &Path, name: &str, hosts: &[&str], year: i32) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        self.sign(folder, name, CertificateParams::new(hosts).expect("valid names"), year);
    }

    /// Made for a name that is none: bytes as they are.
    pub fn issue_exactly(&self, folder: &Path, name: &str, host: &str) {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are fine");
        params.subject_alt_names = vec![SanType::DnsName(host.try_into().expect("it is ASCII"))];
        self.sign(folder, name, params, 2090);
    }

    fn sign(&self, folder: &Path, name: &str, mut params: CertificateParams, year: i32) {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("it can be written");
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("it can be written");
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
