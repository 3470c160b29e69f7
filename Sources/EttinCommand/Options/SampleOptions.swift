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

    @Option(help: "Shards, and samples in each, in random order; one permutation of all; or as they lie.")
    var order: Order = .shards

    @Option(help: ArgumentHelp("The seed of the order; 42 for mix, 12345 for extend.", valueName: "number"))
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "How often a sample may be taken, or none for no limit; 1 for mix, none for extend.",
            valueName: "count"
        )
    )
    var repeatLimit: String?

    @Option(help: "The type to store ids in; that of the input unless given.")
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
        if repeatLimit == "none" { return nil }
        guard let count = Int(repeatLimit), count >= 1 else {
            throw ValidationError("--repeat-limit is \"\(repeatLimit)\"; expected 1 or more, or none")
        }
        return count
    }
}

/// A number of tokens, with `k`, `m`, `b` or `t` behind it for thousands, millions, billions and trillions.
func tokenCount(_ text: String, flag: String) throws -> Int {
    let units: [Character: Double] = ["k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12]
    let unit = text.lowercased().last.flatMap { units[$0] }
    let value = unit.map { unit in Double(text.dropLast()).map { ($0 * unit).rounded() } } ?? Int(text).map(Double.init)
    guard let value, value >= 0, value < 1e18 else {
        throw ValidationError("\(flag) is \"\(text)\"; expected a number of tokens, such as 5000000, 5m or 1.5b")
    }
    return unit == nil ? Int(text) ?? 0 : Int(value)
}
