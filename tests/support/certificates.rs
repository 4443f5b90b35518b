//! Certificates of a private authority, made for one test.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::{fs, path::Path};

/// An authority that clients can be told to believe.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are fine");
        params.distinguished_name.push(DnType::CommonName, "An authority of tests");
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
        let mut params = CertificateParams::new(hosts).expect("valid names");
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
