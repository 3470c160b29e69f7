import ArgumentParser
import EttinCorpus

/// How samples are taken from a data set.
struct SampleOptions: ParsableArguments {
    /// The orders in which samples are taken.
    enum Order: String, CaseIterable, ExpressibleByArgument {
        case shards
        case permutation
        case given
    }

    @Option(
        help:
            "Order of the samples: shuffled shards with shuffled samples in each, one permutation of all samples, or storage order."
    )
    var order: Order = .shards

    @Option(
        help: ArgumentHelp("Random seed for the order (default: 42 for mix, 12345 for extend).", valueName: "number")
    )
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "Maximum number of times a sample is used, or none for no limit (default: 1 for mix, none for extend).",
            valueName: "count"
        )
    )
    var repeatLimit: String?

    @Option(help: "Integer type to store token ids in (default: as in the input).")
    var tokenType: TokenType?

    /// The types that hold token ids.
    enum TokenType: String, CaseIterable, ExpressibleByArgument {
        case uint16
        case uint32

        var element: MDSElement { self == .uint16 ? .uint16 : .uint32 }
    }

    func validate() throws {
        _ = try limit(default: nil)
    }

    func sampleOrder(seed defaultSeed: UInt64) -> SampleStage.Order {
        switch order {
        case .given: .given
        case .shards: .shards(seed: seed ?? defaultSeed)
        case .permutation: .permutation(seed: seed ?? defaultSeed)
        }
    }

    /// The repeat limit; nil for none.
    func limit(default limit: Int?) throws -> Int? {
        guard let repeatLimit else { return limit }
        return try repeatCount(repeatLimit, flag: "--repeat-limit")
    }
}

/// A number of tokens, with `k`, `m`, `b` or `t` behind it for thousands, millions, billions and trillions.
func tokenCount(_ text: String, flag: String) throws -> Int {
    guard let count = TokenCount.parsed(text) else {
        throw ValidationError("\(flag) is \"\(text)\"; expected a number of tokens, such as 5000000, 5m or 1.5b")
    }
    return count
}

/// How often a sample may be taken; nil for no limit.
func repeatCount(_ text: String, flag: String) throws -> Int? {
    if text == "none" { return nil }
    guard let count = Int(text), count >= 1 else {
        throw ValidationError("\(flag) is \"\(text)\"; expected 1 or more, or none")
    }
    return count
}
