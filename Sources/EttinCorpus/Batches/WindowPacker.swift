/// Packs items into bins of a number of tokens, looking at a bounded number of items at a time.
///
/// Items go into the open bin in their order. When the next one does not fit, the gap is filled with the longest waiting
/// item that does, among equals the earliest, until none does; then the bin is done and the next item starts the
/// following one. So items keep their order but for those that fill a gap, which come from less than a window ahead.
/// Nothing is padded: a bin whose gap nothing fills has fewer tokens.
///
/// - Complexity: O(window) for an item.
package struct WindowPacker<Item> {
    private struct Waiting {
        let number: Int
        let tokens: Int
        let item: Item
    }

    /// Maximum number of tokens of a bin.
    package let tokensPerBin: Int
    /// The number of items among which those that fill gaps are looked for.
    package let window: Int
    // By tokens, among equals the latest first: the longest that fits and came first is the last that fits.
    private var waiting: [Waiting] = []
    private var nextNumber = 0
    // The items in the order in which they came; those that filled a gap are passed over.
    private var arrivals: [(number: Int, tokens: Int)] = []
    private var firstArrival = 0
    private var open: [Waiting] = []
    private var room: Int

    /// Creates a packer.
    ///
    /// - Parameters:
    ///   - tokensPerBin: Maximum number of tokens of a bin.
    ///   - window: The number of items among which those that fill gaps are looked for.
    package init(tokensPerBin: Int, window: Int) {
        precondition(tokensPerBin > 0 && window > 0, "WindowPacker: \(tokensPerBin) tokens, window \(window)")
        self.tokensPerBin = tokensPerBin
        self.window = window
        room = tokensPerBin
    }

    /// The number of items that wait, those of the open bin not among them.
    package var waitingCount: Int { waiting.count }

    /// Adds an item.
    ///
    /// - Parameters:
    ///   - item: The item.
    ///   - tokens: Its number of tokens.
    /// - Returns: A bin that this completed, in the order in which its items came; else nil.
    /// - Throws: `CorpusError` for an item that fits no bin.
    package mutating func append(_ item: Item, tokens: Int) throws -> [Item]? {
        guard 0...tokensPerBin ~= tokens else {
            throw CorpusError(
                .invalidOption,
                file: "tokens per batch",
                found: "are \(tokensPerBin), too few for a sequence of \(tokens)",
                expected: "at least the length of the longest sequence"
            )
        }
        waiting.insert(
            Waiting(number: nextNumber, tokens: tokens, item: item),
            at: position(tokens: tokens, number: nextNumber)
        )
        if firstArrival > window, firstArrival > arrivals.count / 2 {
            arrivals.removeFirst(firstArrival)
            firstArrival = 0
        }
        arrivals.append((nextNumber, tokens))
        nextNumber += 1
        return waiting.count < window ? nil : placeOne()
    }

    /// Completes a bin without waiting for more items; at the end of the items, until there is none.
    ///
    /// - Returns: A bin, in the order in which its items came; nil when there are no more items.
    package mutating func next() -> [Item]? {
        while !waiting.isEmpty {
            if let bin = placeOne() { return bin }
        }
        return open.isEmpty ? nil : close()
    }

    // Puts the next item into the open bin; if it does not fit, completes the bin without it and starts one with it.
    private mutating func placeOne() -> [Item]? {
        guard let next = passOverPlaced() else { return nil }
        var bin: [Item]?
        if next.tokens > room {
            while true {
                // Everything before this place has at most as many tokens as there is room.
                let end = position(tokens: room, number: -1)
                if end == 0 { break }
                take(at: end - 1)
            }
            bin = close()
        }
        take(at: position(tokens: next.tokens, number: next.number))
        return bin
    }

    // The first item that waits; those before it filled gaps.
    private mutating func passOverPlaced() -> (number: Int, tokens: Int)? {
        while firstArrival < arrivals.count {
            let (number, tokens) = arrivals[firstArrival]
            let place = position(tokens: tokens, number: number)
            if place < waiting.count, waiting[place].number == number { return (number, tokens) }
            firstArrival += 1
        }
        arrivals = []
        firstArrival = 0
        return nil
    }

    private mutating func take(at place: Int) {
        let taken = waiting.remove(at: place)
        open.append(taken)
        room -= taken.tokens
    }

    private mutating func close() -> [Item] {
        defer {
            open = []
            room = tokensPerBin
        }
        return open.sorted { $0.number < $1.number }.map(\.item)
    }

    // Where an item of so many tokens and this number is, or would be inserted.
    private func position(tokens: Int, number: Int) -> Int {
        var (low, high) = (0, waiting.count)
        while low < high {
            let middle = (low + high) / 2
            let isBefore = (waiting[middle].tokens, number) < (tokens, waiting[middle].number)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Packs all items of a list.
    ///
    /// - Parameters:
    ///   - items: Items with their numbers of tokens.
    ///   - tokensPerBin: Maximum number of tokens of a bin.
    ///   - window: Maximum number of items that wait.
    /// - Returns: The bins.
    /// - Throws: `CorpusError` for an item that fits no bin.
    package static func bins(
        _ items: some Sequence<(item: Item, tokens: Int)>,
        tokensPerBin: Int,
        window: Int
    ) throws -> [[Item]] {
        var packer = WindowPacker(tokensPerBin: tokensPerBin, window: window)
        var bins: [[Item]] = []
        for (item, tokens) in items {
            if let bin = try packer.append(item, tokens: tokens) { bins.append(bin) }
        }
        while let bin = packer.next() { bins.append(bin) }
        return bins
    }
}
