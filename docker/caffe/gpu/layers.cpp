// Which implementation a layer gets in an engine for GPUs: Caffe's, cuDNN's or ours. In the place of Caffe's
// layer_factory.cpp, and of what lstm_layer.cpp and embed_layer.cpp register themselves.
//
// `engine: CAFFE` in a layer gives Caffe's own, `engine: CUDNN` cuDNN's where there is one; without either, what is
// quickest and as exact. On a CPU ours inherit those of cpu/, and the others are Caffe's: cuDNN's would ask for a card.
#include <boost/python.hpp>  // before any system header

#include "../cpu/lrn.hpp"
#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "caffe/layers/python_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/softmax_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"
#include "convolution.hpp"
#include "embed.hpp"
#include "lstm.hpp"
#include "pooling.hpp"
#include "settings.hpp"
#include "softmax.hpp"
#ifdef USE_CUDNN
#include "caffe/layers/cudnn_lrn_layer.hpp"
#include "caffe/layers/cudnn_pooling_layer.hpp"
#include "caffe/layers/cudnn_relu_layer.hpp"
#endif

namespace caffe {

namespace {

bool on_gpu() { return Caffe::mode() == Caffe::GPU; }

}  // namespace

// Tried out among cuDNN's and our own: `engine: CUDNN` says nothing more.
template <typename Dtype>
shared_ptr<Layer<Dtype>> Convolution(const LayerParameter& param) {
  if (param.convolution_param().engine() == ConvolutionParameter_Engine_CAFFE)
    return shared_ptr<Layer<Dtype>>(new ConvolutionLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new TunedConvolutionLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Convolution, Convolution);

// cuDNN's gives the gradient of equal maxima to another of them than Caffe's.
template <typename Dtype>
shared_ptr<Layer<Dtype>> Pooling(const LayerParameter& param) {
  const auto engine = param.pooling_param().engine();
#ifdef USE_CUDNN
  if (engine == PoolingParameter_Engine_CUDNN && on_gpu() && param.top_size() == 1)
    return shared_ptr<Layer<Dtype>>(new CuDNNPoolingLayer<Dtype>(param));
#endif
  if (engine == PoolingParameter_Engine_CAFFE) return shared_ptr<Layer<Dtype>>(new PoolingLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new QuickPoolingLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Pooling, Pooling);

template <typename Dtype>
shared_ptr<Layer<Dtype>> LRN(const LayerParameter& param) {
#ifdef USE_CUDNN
  const auto& lrn = param.lrn_param();
  if (lrn.engine() == LRNParameter_Engine_CUDNN && on_gpu() && lrn.local_size() <= CUDNN_LRN_MAX_N &&
      lrn.norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS)
    return shared_ptr<Layer<Dtype>>(new CuDNNLRNLayer<Dtype>(param));
#endif
  if (param.lrn_param().engine() == LRNParameter_Engine_CAFFE)
    return shared_ptr<Layer<Dtype>>(new LRNLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new PiecewiseLRNLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(LRN, LRN);

template <typename Dtype>
shared_ptr<Layer<Dtype>> ReLU(const LayerParameter& param) {
#ifdef USE_CUDNN
  if (param.relu_param().engine() == ReLUParameter_Engine_CUDNN && on_gpu())
    return shared_ptr<Layer<Dtype>>(new CuDNNReLULayer<Dtype>(param));
#endif
  return shared_ptr<Layer<Dtype>>(new ReLULayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(ReLU, ReLU);

// Caffe's own gives each row of a vocabulary to one thread.
template <typename Dtype>
shared_ptr<Layer<Dtype>> Softmax(const LayerParameter& param) {
#ifdef USE_CUDNN
  if (param.softmax_param().engine() != SoftmaxParameter_Engine_CAFFE && on_gpu())
    return shared_ptr<Layer<Dtype>>(new RowSoftmaxLayer<Dtype>(param));
#endif
  return shared_ptr<Layer<Dtype>>(new SoftmaxLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Softmax, Softmax);

template <typename Dtype>
shared_ptr<Layer<Dtype>> LSTM(const LayerParameter& param) {
  if (lrcn::unrolled_lstm()) return shared_ptr<Layer<Dtype>>(new LSTMLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new FusedLSTMLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(LSTM, LSTM);

template <typename Dtype>
shared_ptr<Layer<Dtype>> Embed(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype>>(new OrderedEmbedLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Embed, Embed);

template <typename Dtype>
shared_ptr<Layer<Dtype>> Sigmoid(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype>>(new SigmoidLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(Sigmoid, Sigmoid);

template <typename Dtype>
shared_ptr<Layer<Dtype>> TanH(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype>>(new TanHLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(TanH, TanH);

template <typename Dtype>
shared_ptr<Layer<Dtype>> Python(const LayerParameter& param) {
  namespace python = boost::python;
  Py_Initialize();
  try {
    const python::object module = python::import(param.python_param().module().c_str());
    const python::object layer = module.attr(param.python_param().layer().c_str())(param);
    return python::extract<shared_ptr<PythonLayer<Dtype>>>(layer)();
  } catch (const python::error_already_set&) {
    PyErr_Print();
    throw;
  }
}
REGISTER_LAYER_CREATOR(Python, Python);

}  // namespace caffe
