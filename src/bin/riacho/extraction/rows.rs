//! Made-up orders of a shop, as an API that nobody has tidied up would give them: nested, with nulls, repeated and broken
//! rows, and texts that want to do harm.

use std::fmt::Write as _;

/// One in so many rows has a text of a mebibyte.
const HUGE_EVERY: u64 = 50_000;
const HUGE_BYTES: usize = 1 << 20;

const NAMES: [&str; 8] = [
    "Ana Souza",
    "João Conceição",
    "Bia Lima",
    "Íris Peña",
    "Davi Rocha",
    "Zoë Nunes",
    "Rui Sá",
    "Inês Melo",
];
const CITIES: [(&str, &str); 6] = [
    ("São Paulo", "SP"),
    ("Recife", "PE"),
    ("Belém", "PA"),
    ("Goiânia", "GO"),
    ("Niterói", "RJ"),
    ("Caxias do Sul", "RS"),
];
const HOSTILE: [&str; 6] = [
    r"<script>alert('x')</script><img src=x onerror=alert(1)>",
    r"'; DROP TABLE pedidos; --",
    r"linha 1\nlinha 2\r\n\tlinha 3",
    r"\u202edireita para esquerda\u202c",
    r#"aspas \" vírgula, ponto; =1+1"#,
    r"\u0000\u0007 \ud83d\ude00 \ufeff",
];

/// The row with this number, as JSON text: the same whenever it is asked for.
pub(crate) fn row(seed: u64, index: u64) -> String {
    let dice = mixed(seed, index);
    match dice % 1000 {
        // A little later than the row that it repeats.
        0..10 if index > 100 => row(seed, index - 1 - mixed(dice, 1) % 60),
        10..15 => broken(index, dice),
        15..20 => {
            good(index, dice, HOSTILE.get(dice as usize / 1000 % HOSTILE.len()).copied().unwrap_or_default())
        }
        _ if index % HUGE_EVERY == 777 => good(index, dice, &"enorme ".repeat(HUGE_BYTES / 7)),
        _ => good(index, dice, ""),
    }
}

fn broken(index: u64, dice: u64) -> String {
    match dice / 1000 % 6 {
        0 => format!("\"linha {index} sem objeto\""),
        1 => format!("[{index}]"),
        2 => format!("{{\"valorTotal\":\"{index}.00\"}}"),
        3 => format!("{{\"id\":{index},\"valorTotal\":\"grátis\"}}"),
        4 => format!("{{\"id\":{index},\"criadoEm\":\"31/31/2026\"}}"),
        _ => format!("{{\"id\":{index},\"quantidade\":1,\"quantidade\":2}}"),
    }
}

fn good(index: u64, dice: u64, remark: &str) -> String {
    let pick = |salt: u64, of: u64| mixed(dice, salt) % of.max(1);
    let name = NAMES.get(pick(2, NAMES.len() as u64) as usize).copied().unwrap_or_default();
    let (city, state) = CITIES.get(pick(3, CITIES.len() as u64) as usize).copied().unwrap_or_default();
    let mut row = String::with_capacity(512 + remark.len());
    // Writing to a String cannot fail.
    let _always_fits = write!(
        row,
        "{{\"id\":{index},\"nomeCompleto\":\"{name}\",\"Cidade-Natal\":\"{city}\",\"contato\":{{\"email\":\
         \"cliente.{}@exemplo.br\",\"telefone\":{},\"endereço\":{{\"CEP\":\"{:05}-{:03}\",\"uf\":\"{state}\"}}}},\
         \"valorTotal\":\"{}.{:02}\",\"quantidade\":{},\"peso\":{}.{},\"ativo\":{},\
         \"criadoEm\":\"2026-01-{:02}T{:02}:{:02}:{:02}Z\",\"nascimento\":\"{}-{:02}-{:02}\",\
         \"etiquetas\":[\"novo\",{}],\"cupom\":null",
        pick(4, 100_000),
        if pick(5, 3) == 0 { "null".to_owned() } else { format!("\"+55 81 9{:08}\"", pick(6, 100_000_000)) },
        pick(7, 100_000),
        pick(8, 1000),
        pick(9, 5000),
        pick(10, 100),
        1 + pick(11, 9),
        pick(12, 30),
        pick(13, 10),
        pick(14, 2) == 0,
        1 + pick(15, 28),
        pick(16, 24),
        pick(17, 60),
        pick(18, 60),
        1950 + pick(19, 60),
        1 + pick(20, 12),
        1 + pick(21, 28),
        pick(22, 5),
    );
    if !remark.is_empty() {
        let _always_fits = write!(row, ",\"observação\":\"{remark}\"");
    }
    row.push('}');
    row
}

/// SplitMix64: spreads numbers that are close to one another over all 64 bits.
fn mixed(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_and_the_same_every_time() {
        let mut objects = 0;
        for index in 0..5000 {
            let text = row(7, index);
            assert_eq!(text, row(7, index));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            objects += u64::from(value["contato"]["endereço"]["CEP"].is_string());
        }
        assert!((4900..5000).contains(&objects), "{objects}");
        assert_ne!(row(7, 1), row(8, 1));
    }

    #[test]
    fn every_kind_of_trouble_comes() {
        let all: Vec<_> = (0..60_000).map(|index| row(7, index)).collect();
        let repeated =
            all.iter().enumerate().filter(|(at, row)| all[at.saturating_sub(70)..*at].contains(row));
        assert!(repeated.count() > 300);
        for part in
            ["sem objeto", "grátis", "31/31/2026", "<script>", "DROP TABLE", "\\u202e", "\"telefone\":null"]
        {
            assert!(all.iter().any(|row| row.contains(part)), "{part}");
        }
        assert!(all.iter().any(|row| row.len() > 1_000_000));
    }
}
