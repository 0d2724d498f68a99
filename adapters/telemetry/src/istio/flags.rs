//! Envoy's response flags, as `%RESPONSE_FLAGS%` tells them.

/// By the bit that stands for each.
const NAMES: [&str; 31] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO", "DRO",
];

/// The names of the bits that are set, with commas between them; `-` for none.
pub fn names(flags: u64) -> String {
    let set = NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags >> bit & 1 == 1);
    let set: Vec<&str> = set.map(|(_, name)| *name).collect();
    if set.is_empty() {
        "-".to_owned()
    } else {
        set.join(",")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (flags, text) in [
            (0, "-"),
            (1, "LH"),
            (1 << 5, "UF"),
            (1 << 5 | 1 << 15, "UF,URX"),
        ] {
            assert_eq!(super::names(flags), text);
        }
    }
}
