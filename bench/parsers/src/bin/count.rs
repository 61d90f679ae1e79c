//! `count PARSER lazy|typed SUBSCRIBE|PUBLISH TIMES`: one parser on one message many times, for
//! `count.sh` to count its instructions. Without arguments: what there is to count, a line each.

use pharos_bench_parsers::{ALL, Message, check};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [parser, depth, message, times] = args.as_slice() else {
        check();
        for parser in ALL {
            for message in Message::all() {
                println!("{}\tlazy\t{}", parser.name, message.name);
                if parser.typed.is_some() {
                    println!("{}\ttyped\t{}", parser.name, message.name);
                }
            }
        }
        return;
    };
    let parser = ALL.iter().find(|known| known.name == parser).expect("a parser");
    let message =
        Message::all().into_iter().find(|known| known.name == message).expect("a message");
    let run = match (depth.as_str(), &parser.typed) {
        ("typed", Some(typed)) => typed.read,
        _ => parser.lazy,
    };
    counted(run, &message, times.parse().expect("a number"));
}

/// Callgrind counts what happens in here.
#[inline(never)]
fn counted(run: fn(&Message), message: &Message, times: u32) {
    for _ in 0..times {
        run(message);
    }
}
