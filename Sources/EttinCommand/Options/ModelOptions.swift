import ArgumentParser
import EttinInference
import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where to compute: cpu, cuda, cuda:N or mps.", valueName: "device"))
    var device = "cpu"

    @Option(help: "The type to compute in; that of the files unless given.")
    var dtype: ComputeDType?

    @Option(help: ArgumentHelp("CPU threads; libtorch's choice unless given.", valueName: "count"))
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
        if let threads { TorchRuntime.setThreadCount(threads) }
        return ComputeOptions(device: try Device(device), dtype: dtype?.torch)
    }
}

/// The types that models are run in.
enum ComputeDType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case bfloat16

    var torch: DType { self == .float32 ? .float32 : .bfloat16 }
}
