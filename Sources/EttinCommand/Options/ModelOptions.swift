public import ArgumentParser
public import EttinInference
import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(help: "Data type to compute in (default: as stored). int8 quantizes the linear layers, on the CPU only.")
    var dtype: InferenceDType?

    @OptionGroup var place: DeviceOptions

    /// Sets the number of threads and finds the device.
    ///
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare() throws -> ComputeOptions {
        ComputeOptions(device: try place.prepare(), dtype: dtype)
    }
}

extension InferenceDType: ExpressibleByArgument {}

/// The types of a model's parameters.
enum ComputeDType: String, ExpressibleByArgument, CaseIterable {
    case float32
    case bfloat16

    var torch: DType { self == .float32 ? .float32 : .bfloat16 }
}
