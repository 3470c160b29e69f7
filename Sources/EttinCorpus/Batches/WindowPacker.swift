/// Packs items into bins of a number of tokens, looking at a bounded number of items at a time.
///
/// A bin starts with the item that waits longest; then, as long as something fits, it takes the longest item that does,
/// among equals the earliest. Nothing is padded: a bin that cannot be filled is emitted with fewer tokens. Every bin
/// takes the item that waits longest, so an item waits for no more bins than the window has items, and leaves fewer than
/// a window of earlier items behind it.
///
/// - Complexity: O(window) for an item.
public struct WindowPacker<Item> {
    private struct Waiting {
        let number: Int
        let tokens: Int
        let item: Item
    }

    /// The most tokens of a bin.
    public let tokensPerBin: Int
    /// The most items that wait.
    public let window: Int
    // By tokens, among equals the latest first: the longest that fits and came first is the last that fits.
    private var waiting: [Waiting] = []
    private var nextNumber = 0
    // The numbers of the items in the order in which they came; those of emitted ones are passed over.
    private var arrivals: [(number: Int, tokens: Int)] = []
    private var firstArrival = 0

    /// Creates a packer.
    ///
    /// - Parameters:
    ///   - tokensPerBin: The most tokens of a bin.
    ///   - window: The most items that wait.
    public init(tokensPerBin: Int, window: Int) {
        precondition(tokensPerBin > 0 && window > 0, "WindowPacker: \(tokensPerBin) tokens, window \(window)")
        self.tokensPerBin = tokensPerBin
        self.window = window
    }

    /// The number of items that wait.
    public var waitingCount: Int { waiting.count }

    /// Adds an item; a full window gives a bin.
    ///
    /// - Parameters:
    ///   - item: The item.
    ///   - tokens: Its number of tokens.
    /// - Returns: A bin, in the order in which its items came; nil while the window has room.
    /// - Throws: `CorpusError` for an item that fits no bin.
    public mutating func append(_ item: Item, tokens: Int) throws -> [Item]? {
        guard 0...tokensPerBin ~= tokens else {
            throw CorpusError(
                .invalidOption,
                file: "tokens per batch",
                found: "are \(tokensPerBin), too few for a sequence of \(tokens)",
                expected: "at least as many as the longest sequence has"
            )
        }
        waiting.insert(
            Waiting(number: nextNumber, tokens: tokens, item: item),
            at: position(tokens: tokens, number: nextNumber)
        )
        arrivals.append((nextNumber, tokens))
        nextNumber += 1
        return waiting.count < window ? nil : next()
    }

    /// Takes a bin out of the window, full or not; at the end of the items, until nothing waits.
    ///
    /// - Returns: A bin, in the order in which its items came; nil when nothing waits.
    public mutating func next() -> [Item]? {
        var taken: [Waiting] = []
        var room = tokensPerBin
        while firstArrival < arrivals.count {
            let (number, tokens) = arrivals[firstArrival]
            firstArrival += 1
            let place = position(tokens: tokens, number: number)
            guard place < waiting.count, waiting[place].number == number else { continue }
            taken.append(waiting.remove(at: place))
            room -= tokens
            break
        }
        while true {
            // Everything before this place has at most as many tokens as there is room.
            let end = position(tokens: room, number: -1)
            if taken.isEmpty || end == 0 { break }
            let longest = waiting[end - 1]
            // Among equals the earliest is the last.
            taken.append(waiting.remove(at: end - 1))
            room -= longest.tokens
        }
        if firstArrival > window, firstArrival > arrivals.count / 2 {
            arrivals.removeFirst(firstArrival)
            firstArrival = 0
        }
        return taken.isEmpty ? nil : taken.sorted { $0.number < $1.number }.map(\.item)
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
    ///   - tokensPerBin: The most tokens of a bin.
    ///   - window: The most items that wait.
    /// - Returns: The bins.
    /// - Throws: `CorpusError` for an item that fits no bin.
    public static func bins(
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
