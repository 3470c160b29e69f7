import CTorch

/// How many rows belong to each sequence of a batch, checked and copied once for all layers that attend among them.
///
/// Immutable.
public final class SequenceLengths {
    let handle: OpaquePointer?

    /// Checks and copies lengths.
    ///
    /// - Parameters:
    ///   - queries: Cumulative lengths of the queries: 0, then the end of each sequence.
    ///   - keys: Cumulative lengths of the keys, no sequence with fewer of them than queries; nil where every query has
    ///     one key.
    ///   - attendedKeys: How many keys of each sequence, from its first, are attended to, at least 1; nil for all. A query
    ///     whose window holds none of them gets zeros.
    ///   - device: Where the queries and keys are.
    public init(
        cuSeqlens queries: [Int32],
        keys: [Int32]? = nil,
        attendedKeys: [Int32]? = nil,
        on device: Device = .cpu
    ) {
        requireUsage(
            attendedKeys.map { $0.count == queries.count - 1 } ?? true,
            "attended keys of \(attendedKeys?.count ?? 0) sequences; expected \(queries.count - 1)"
        )
        requireUsage(
            !queries.isEmpty && keys.map { $0.count == queries.count } ?? true,
            "\(queries.count) cumulative lengths of queries, \(keys?.count ?? queries.count) of keys; expected as many, "
                + "one more than there are sequences"
        )
        var made: OpaquePointer?
        let count = Int32(queries.count - 1)
        let status = ct_attention_lengths(queries, keys, attendedKeys, count, device.cValue, &made)
        handle = succeeded(status, "SequenceLengths", []) ? made : nil
    }

    deinit {
        if let handle { ct_attention_lengths_free(handle) }
    }
}

/// Where in a cache of keys and values those of some sequences lie, checked once for all layers.
///
/// A cache is made of pages of equally many places. The first places of a sequence are filled; its pages may lie
/// anywhere, and several sequences may have full pages in common. Immutable. The CPU's kernel reads
/// it as it is; without the kernel, as on other devices, each layer copies the rows it needs to the device.
package final class CachePlaces {
    let handle: OpaquePointer?

    /// Checks and copies places.
    ///
    /// - Parameters:
    ///   - pages: For each sequence the numbers of its pages, as many as hold its filled places.
    ///   - pageSize: The places of a page.
    ///   - counts: How many places, from the first, each sequence has filled; at least 1.
    ///   - newPlaces: Where the key and value of each sequence's new token go, below its count; nil for no new tokens.
    package init(pages: [[Int32]], pageSize: Int, counts: [Int32], newPlaces: [Int32]? = nil) {
        requireUsage(
            pages.count == counts.count && newPlaces.map { $0.count == counts.count } ?? true,
            "pages of \(pages.count) sequences, counts of \(counts.count), "
                + "new places of \(newPlaces?.count ?? counts.count)"
        )
        let numbers = pages.flatMap(\.self)
        var made: OpaquePointer?
        let status = ct_attention_places(
            numbers,
            Int32(numbers.count),
            Int64(pageSize),
            newPlaces,
            counts,
            Int32(counts.count),
            &made
        )
        handle = succeeded(status, "CachePlaces", []) ? made : nil
    }

    deinit {
        if let handle { ct_attention_places_free(handle) }
    }
}
