//! Policy files.

use tapline_witness::{
    note::{KeyType, Name, Signer, Verifier},
    policy::Policy,
};

fn key(name: &str, key_type: KeyType, seed: u8) -> Verifier {
    Signer::from_seed(Name::new(name).unwrap(), key_type, &[seed; 32]).verifier()
}

#[test]
fn quorums_are_counted() {
    let witnesses: Vec<Verifier> = (1..=5)
        .map(|seed| key(&format!("w{seed}"), KeyType::Cosignature, seed))
        .collect();
    let mut text = format!(
        "# two of three, and one of two\n\nlog {} https://x\n",
        key("l", KeyType::Ed25519, 9).to_vkey()
    );
    for (index, witness) in witnesses.iter().enumerate() {
        text += &format!("\twitness  w{index} {}\n", witness.to_vkey());
    }
    text += "group x 2 w0 w1 w2\ngroup y any w3 w4\ngroup both all x y\nquorum both\n";
    let policy = Policy::parse(&text).unwrap();
    let check = |cosigners: &[usize]| {
        policy.is_witnessed(&cosigners.iter().map(|index| &witnesses[*index]).collect::<Vec<_>>())
    };
    assert!(check(&[0, 2, 4]));
    assert!(check(&[0, 1, 2, 3, 4]));
    assert!(!check(&[0, 1, 2]));
    assert!(!check(&[0, 3, 4]));
    assert!(!check(&[0, 0, 3]));
    assert!(!check(&[]));
    assert_eq!(policy.keys().len(), 6);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let log = key("l", KeyType::Ed25519, 9).to_vkey();
    let witness = key("w", KeyType::Cosignature, 1).to_vkey();
    let refused = |text: String, expected: &str| {
        let error = Policy::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    refused(String::new(), "a quorum line is missing");
    refused("quorum none\nquorum none\n".into(), "line 2: a second quorum line");
    refused("quorum w\n".into(), "line 1: \"w\" is not defined above");
    refused(
        format!("log {log}\nlog {log}\nquorum none\n"),
        "line 2: this key is there already",
    );
    refused(format!("log {witness}\n"), "expected a key of type 1, found type 4");
    refused(format!("witness w {log}\n"), "expected a key of type 4, found type 1");
    refused(format!("witness none {witness}\n"), "the name \"none\" is taken");
    refused(
        format!("witness w {witness}\ngroup g 2 w\n"),
        "expected any, all or 1 to 1",
    );
    refused(
        format!("witness w {witness}\ngroup g 01 w\n"),
        "expected any, all or 1 to 1",
    );
    refused(
        format!("witness w {witness}\ngroup g all w\ngroup h all w\n"),
        "is a member of a group already",
    );
    refused("log x\n".into(), "line 1: malformed key");
    refused("trust me\n".into(), "line 1: expected log <vkey>");
    refused("quorum none\r\n".into(), "a control character");
}
