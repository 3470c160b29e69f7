/// A failure of memory or device that a recovery scope reports.
///
/// Shape, dtype and index mistakes are programmer errors and trap instead.
public struct TorchError: Error, Hashable, CustomStringConvertible {
    /// What failed.
    public enum Kind: Sendable, Hashable {
        /// Host or device memory ran out.
        case outOfMemory
        /// The device is missing, lost or reported a fault.
        case device
    }

    /// What failed.
    public let kind: Kind
    /// libtorch's own words, without its backtrace.
    public let message: String

    /// What is wrong, in one line.
    public var description: String {
        switch kind {
        case .outOfMemory: "out of memory: \(message)"
        case .device: "device failure: \(message)"
        }
    }
}
