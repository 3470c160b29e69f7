import CTorch

/// Where tensors live and operations run.
public struct Device: Sendable, Hashable, CustomStringConvertible {
    /// The kind of a device.
    public enum Kind: String, Sendable, CaseIterable {
        case cpu
        case cuda
        case mps
    }

    /// The kind of the device.
    public let kind: Kind
    /// Which of the devices of its kind; nil for the current one.
    public let index: Int?

    /// The host processor.
    public static let cpu = Device(kind: .cpu, index: nil)

    private init(kind: Kind, index: Int?) {
        self.kind = kind
        self.index = index
    }

    /// Parses `cpu`, `cuda`, `cuda:1` or `mps` and checks that this machine has the device.
    ///
    /// CUDA libraries are loaded here, the first time a CUDA device is asked for.
    ///
    /// - Parameter name: The name as PyTorch spells it.
    /// - Throws: ``DeviceError`` for an unknown name and for a device that is not available.
    public init(_ name: String) throws {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard let kind = parts.first.flatMap({ Kind(rawValue: String($0)) }), parts.count <= 2 else {
            throw DeviceError(name: name, problem: "unknown device; expected cpu, cuda, cuda:N or mps")
        }
        var index: Int?
        if parts.count == 2 {
            guard let number = Int(parts[1]), number >= 0 else {
                throw DeviceError(name: name, problem: "\"\(parts[1])\" is no device number; expected 0, 1, …")
            }
            index = number
        }
        if kind == .cuda, ct_device_load_cuda() != CT_OK {
            let reason = String(cString: ct_error_message())
            throw DeviceError(name: name, problem: "this libtorch has no usable CUDA library (\(reason))")
        }
        let count = Int(ct_device_count(kind.cValue))
        guard count > 0 else { throw DeviceError(name: name, problem: "this machine has no such device") }
        if let index, index >= count {
            throw DeviceError(name: name, problem: "this machine has \(count) of them; expected 0 to \(count - 1)")
        }
        self.init(kind: kind, index: index)
    }

    init(_ value: CTDevice) {
        let kind: Kind =
            switch value.type {
            case CT_CUDA: .cuda
            case CT_MPS: .mps
            default: .cpu
            }
        self.init(kind: kind, index: kind == .cpu || value.index < 0 ? nil : Int(value.index))
    }

    var cValue: CTDevice { CTDevice(type: kind.cValue, index: Int32(index ?? -1)) }

    /// The name and kind, for people.
    public var description: String { index.map { "\(kind.rawValue):\($0)" } ?? kind.rawValue }

    /// Waits until everything queued on the device has run.
    public func synchronize() {
        _ = succeeded(ct_device_synchronize(cValue), "synchronize", [])
    }

    /// Whether a CUDA device can be used on this machine.
    public static var isCUDAAvailable: Bool { ct_device_is_available(CT_CUDA) }

    /// Whether Apple's GPU can be used on this machine.
    public static var isMPSAvailable: Bool { ct_device_is_available(CT_MPS) }
}

extension Device.Kind {
    var cValue: CTDeviceType {
        switch self {
        case .cpu: CT_CPU
        case .cuda: CT_CUDA
        case .mps: CT_MPS
        }
    }
}

/// A device name that is unknown or that this machine cannot serve.
public struct DeviceError: Error, Hashable, CustomStringConvertible {
    /// The name as given.
    public let name: String
    /// What is wrong and what was expected.
    public let problem: String

    /// The name and kind, for people.
    public var description: String { "device \"\(name)\": \(problem)" }
}
