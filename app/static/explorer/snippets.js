// Programs that send a device's first reading, with its token and its sensors filled in: to copy.

const reading = (sensors, value) => sensors.map((id) => `{"id":${id},"value":${value}}`).join(',')
const used = (sensors) => (sensors.length ? sensors.slice(0, 3) : [55])

const secure = ({ protocol }) => protocol === 'mqtts:'
const port = (broker) => broker.port || (secure(broker) ? 8883 : 1883)

function arduino({ token, sensors, broker }) {
  return `#include <WiFi.h>
#include <${secure(broker) ? 'WiFiClientSecure' : 'WiFiClient'}.h>
#include <PubSubClient.h>

const char* TOKEN = "${token}";
${secure(broker) ? 'WiFiClientSecure' : 'WiFiClient'} net;
PubSubClient mqtt(net);

void setup() {
  WiFi.begin("your network", "its password");
  while (WiFi.status() != WL_CONNECTED) delay(200);
  configTime(0, 0, "pool.ntp.org");${secure(broker) ? '\n  net.setInsecure(); // better: net.setCACert(...)' : ''}
  mqtt.setServer("${broker.hostname}", ${port(broker)});
  mqtt.setBufferSize(1024);
}

void loop() {
  time_t now = time(nullptr);
  if (now < 1700000000) return; // no clock yet
  if (!mqtt.connected() && !mqtt.connect(TOKEN, TOKEN, TOKEN)) { delay(2000); return; }
  char at[21];
  strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  float value = 21.4; // read your sensor here
  String body = String("{\\"data\\":[{\\"recorded_at\\":\\"") + at + "\\",\\"sensors\\":[";
${used(sensors)
  .map((id, place) => `  body += String("${place ? ',' : ''}{\\"id\\":${id},\\"value\\":") + value + "}";`)
  .join('\n')}
  body += "]}]}";
  mqtt.publish((String("device/sck/") + TOKEN + "/readings").c_str(), body.c_str());
  mqtt.loop();
  delay(60000);
}
`
}

function python({ token, sensors, broker }) {
  return `# pip install paho-mqtt
import json, time
from datetime import datetime, timezone
import paho.mqtt.client as mqtt

TOKEN = "${token}"
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=TOKEN)
client.username_pw_set(TOKEN, TOKEN)${secure(broker) ? '\nclient.tls_set()' : ''}
client.connect("${broker.hostname}", ${port(broker)})
client.loop_start()

while True:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    sensors = [${used(sensors).map((id) => `{"id": ${id}, "value": 21.4}`).join(', ')}]  # read yours here
    body = json.dumps({"data": [{"recorded_at": now, "sensors": sensors}]})
    client.publish(f"device/sck/{TOKEN}/readings", body, qos=1).wait_for_publish()
    time.sleep(60)
`
}

function shell({ token, sensors, broker }) {
  return `mosquitto_pub -h ${broker.hostname} -p ${port(broker)}${secure(broker) ? ' --tls-use-os-certs' : ''} -i ${token} -u ${token} -P ${token} -q 1 \\
  -t device/sck/${token}/readings \\
  -m "{\\"data\\":[{\\"recorded_at\\":\\"$(date -u +%FT%TZ)\\",\\"sensors\\":[${reading(used(sensors), '21.4').replaceAll('"', '\\"')}]}]}"
`
}

export const SNIPPETS = {
  arduino: { name: 'ESP32 (Arduino)', write: arduino },
  python: { name: 'Python', write: python },
  shell: { name: 'Shell', write: shell },
}
