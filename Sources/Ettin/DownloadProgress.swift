/// How far the download of a model is.
public struct DownloadProgress: Sendable, Hashable, CustomStringConvertible {
    /// The bytes of its files that are there, in this process.
    public let completedBytes: Int
    /// The size in bytes of the files that have begun; the largest begin first.
    public let totalBytes: Int

    /// The part that is there, 0 to 1.
    public var fraction: Double { totalBytes > 0 ? min(1, Double(completedBytes) / Double(totalBytes)) : 0 }

    /// Such as `12.3 of 67.9 MB`.
    public var description: String { "\(Self.megabytes(completedBytes)) of \(Self.megabytes(totalBytes)) MB" }

    private static func megabytes(_ bytes: Int) -> Double { (Double(bytes) / 1e5).rounded() / 10 }
}
