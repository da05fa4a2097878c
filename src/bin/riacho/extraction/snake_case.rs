//! Names of columns: lower case, words joined by underscores, without accents.

/// Longer names are cut.
const BYTES_MAX: usize = 120;

/// The name in snake case. Never empty, and it does not begin with a digit.
///
/// `valorTotal`, `Valor Total` and `VALOR-TOTAL` are `valor_total`; `HTTPServer` is `http_server`; `Observação` is
/// `observacao`. Letters of other alphabets stay.
pub(crate) fn snake_case(text: &str) -> String {
    let mut name = String::with_capacity(text.len() + 4);
    let mut before = Kind::Other;
    let mut chars = text.chars().map(without_accent).peekable();
    while let Some(char) = chars.next() {
        let kind = Kind::of(char);
        let next = chars.peek().copied().map_or(Kind::Other, Kind::of);
        let begins_word = match (before, kind) {
            (Kind::Other, _) => true,
            (Kind::Lower | Kind::Digit, Kind::Upper) => true,
            // The last capital of several begins the next word.
            (Kind::Upper, Kind::Upper) => next == Kind::Lower,
            _ => false,
        };
        before = kind;
        if kind == Kind::Other {
            continue;
        }
        if begins_word && !name.is_empty() {
            name.push('_');
        }
        name.extend(char.to_lowercase());
        if name.len() >= BYTES_MAX {
            break;
        }
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, if name.is_empty() { "column" } else { "n_" });
    }
    name
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Other,
}

impl Kind {
    fn of(char: char) -> Kind {
        if char.is_uppercase() {
            Kind::Upper
        } else if char.is_alphabetic() {
            Kind::Lower
        } else if char.is_numeric() {
            Kind::Digit
        } else {
            Kind::Other
        }
    }
}

/// The letter below an accent of a western language.
fn without_accent(char: char) -> char {
    const PLAIN: [(&str, char); 22] = [
        ("áàâãäå", 'a'),
        ("ÁÀÂÃÄÅ", 'A'),
        ("éèêë", 'e'),
        ("ÉÈÊË", 'E'),
        ("íìîï", 'i'),
        ("ÍÌÎÏ", 'I'),
        ("óòôõöø", 'o'),
        ("ÓÒÔÕÖØ", 'O'),
        ("úùûü", 'u'),
        ("ÚÙÛÜ", 'U'),
        ("ç", 'c'),
        ("Ç", 'C'),
        ("ñ", 'n'),
        ("Ñ", 'N'),
        ("ýÿ", 'y'),
        ("Ý", 'Y'),
        ("ª", 'a'),
        ("º", 'o'),
        ("ş", 's'),
        ("Ş", 'S'),
        ("ğ", 'g'),
        ("Ğ", 'G'),
    ];
    if char.is_ascii() {
        return char;
    }
    PLAIN.iter().find(|(accented, _)| accented.contains(char)).map_or(char, |(_, plain)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_style_become_snake_case() {
        for (text, name) in [
            ("valorTotal", "valor_total"),
            ("Valor Total", "valor_total"),
            ("VALOR-TOTAL", "valor_total"),
            ("valor_total", "valor_total"),
            ("HTTPServer", "http_server"),
            ("userID", "user_id"),
            ("item2Preco", "item2_preco"),
            ("Observação", "observacao"),
            ("Nº do pedido", "no_do_pedido"),
            ("contato.endereço.CEP", "contato_endereco_cep"),
            ("__a__b__", "a_b"),
            ("2fa", "n_2fa"),
            ("", "column"),
            ("<>'; --", "column"),
            ("имяПользователя", "имя_пользователя"),
            ("a\u{202e}b\nc", "a_b_c"),
        ] {
            assert_eq!(snake_case(text), name, "{text:?}");
        }
    }

    #[test]
    fn a_name_without_end_is_cut() {
        assert!(snake_case(&"aB".repeat(1 << 20)).len() < BYTES_MAX + 8);
    }
}
