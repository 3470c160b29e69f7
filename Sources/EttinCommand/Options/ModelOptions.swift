import ArgumentParser
import EttinInference
import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where to compute: cpu, cuda, cuda:N or mps.", valueName: "device"))
    var device = "cpu"

    @Option(help: "The type to compute in; that of the files unless given. int8: the layers' products, on the CPU.")
    var dtype: InferenceDType?

    @Option(help: ArgumentHelp("CPU threads; as many as the machine allows unless given.", valueName: "count"))
    var threads: Int?

    func validate() throws {
        let kind = device.prefix { $0 != ":" }
        guard Device.Kind(rawValue: String(kind)) != nil else {
            throw ValidationError("--device is \"\(device)\"; expected cpu, cuda, cuda:N or mps")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); expected 1 to 1024")
        }
    }

    /// Sets the number of threads and finds the device.
    ///
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare() throws -> ComputeOptions {
        if let threads { TorchRuntime.setThreadCount(threads) } else { TorchRuntime.respectProcessorQuota() }
        return ComputeOptions(
            device: try Device(device),
            dtype: dtype?.torch,
            weightPrecision: dtype == .int8 ? .int8 : nil
        )
    }
}

/// The types that inference computes in.
enum InferenceDType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case bfloat16
    case int8

    /// The dtype of the parameters; nil for that of the files.
    var torch: DType? {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .int8: nil
        }
    }
}

/// The types of a model's parameters.
enum ComputeDType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case bfloat16

    var torch: DType { self == .float32 ? .float32 : .bfloat16 }
}
